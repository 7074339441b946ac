"""Tables and the leaderboard: functions of committed files and of today's fingerprints, of nothing else."""
