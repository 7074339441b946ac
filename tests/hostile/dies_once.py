"""Dies in the middle of its loop when it began at the start, and lives when it goes on from a checkpoint."""

import os
import signal
from dataclasses import dataclass

import torch
from torch import nn

from methods.base import Card, Method
from methods.parts.batches import flat


@dataclass
class DiesOnce(Method):
    """A few noisy steps of a small network; every kind of state that a loop has is in it."""

    card = Card(title="Dies once", authors="a test", year=2026)

    dies: bool = True
    epochs: int = 12

    def fit(self, inputs, k, run):
        """Two loops, the second of which dies; the first is not gone through again."""
        x = flat(inputs.train)
        self.network = nn.Sequential(nn.Linear(x.shape[1], 16), nn.BatchNorm1d(16), nn.Dropout(0.1), nn.Linear(16, 4))
        self.memory = torch.zeros(4)
        for phase, count in enumerate((2, self.epochs)):
            optimizer = torch.optim.AdamW(self.network.parameters(), lr=0.01)
            schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, count)
            keep = {"network": self.network, "optimizer": optimizer, "schedule": schedule, "memory": self.memory}
            first = None
            for epoch in run.epochs(count, keep=keep, snapshots=phase == 1):
                first = epoch if first is None else first
                if phase == 1 and epoch == 7 and first == 0 and self.dies:
                    os.kill(os.getpid(), signal.SIGKILL)
                for _ in range(3):
                    rows = torch.randperm(len(x), generator=run.generator)[:64]
                    loss = (self.network(x[rows]) - self.memory).square().mean() + torch.rand(()) * 0.1
                    optimizer.zero_grad()
                    loss.backward()
                    optimizer.step()
                    run.log(loss=loss)
                self.memory += 0.1
                schedule.step()
        self.network.eval()

    def embed(self, x):
        """[n, 4] float32."""
        with torch.no_grad():
            return self.network(flat(x))
