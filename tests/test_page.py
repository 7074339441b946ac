"""The page: made from records alone, read by a real browser from disk, and proof against hostile names."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import methods
from benchmark.figures import draw
from benchmark.ground.errors import UserError
from benchmark.plan import Cell
from benchmark.report import page
from benchmark.report.cells import confusion
from benchmark.report.page import address, as_script, build, script
from benchmark.report.text import measured, sparkline
from benchmark.store import Results

pytestmark = pytest.mark.xdist_group("page")
EVIL = "</script><script>window.hit=1</script><img src=x onerror=window.hit=2>|'\"\u2028🎲 --> {{7*7}}"
PLUGIN = f'''"""A hostile method."""
from methods.base import Method
from methods.card import Card


class Evil(Method):
    card = Card(title={EVIL!r}, authors={EVIL!r}, year=2020, url="javascript:window.hit=3", schedule={EVIL!r},
        deviations=[{EVIL!r}], findings=[{EVIL!r}])
'''
CHROME = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
DRIVER = shutil.which("chromedriver")
ROWS = {"pixels_kmeans": 0.6, "dec": 0.8, "gmm": 0.7, "simclr": 0.75, "supervised_ceiling": 0.99, "evil_method": 0.5}


def record(cell: Cell, acc: float, data: dict[str, Any] | None = None) -> dict[str, Any]:
    """A record as the runner would write it, hostile in whatever is free text."""
    return {
        "schema": 1,
        **{name: getattr(cell, name) for name in ("method", "variant", "dataset", "track", "budget", "seed")},
        "state": "ok",
        "flags": [],
        "told": ["k"] + ["labels"] * (cell.method == "supervised_ceiling") + ["augmentations"] * (cell.method == "simclr"),
        "k_used": 3,
        "changes": {},
        "config": {EVIL: EVIL},
        "fit_fingerprint": "f" * 32 if data else cell.fit_fingerprint,
        "scores": {"acc": acc + cell.seed / 100, "nmi": 1 - acc, "knn": 0.9},
        "oracle_gap": {"acc": 0.01},
        "snapshot_scores": {"acc": [acc - 0.1, acc]},
        "curve": {EVIL: [3.0, 2.0, 1.0], "bad": ["<b>"]},
        "contingency": [[0, 2, 30], [1, 0, 20], [1, 2, 5], [2, 1, 45]],
        "cost": {"wall_seconds": 2.0, "cpu_seconds": 1.5},
        "parts": [],
        "environment": {"device": "cpu"},
        **({"data": {**data}} if data else {}),
    }


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A site of six methods on two datasets and on a hostile one from outside."""
    folder = tmp_path_factory.mktemp("page")
    plugin = folder / "evil_method.py"
    plugin.write_text(PLUGIN, encoding="utf-8")
    methods.plug_in(plugin)
    results = Results(folder / "results")
    rng = np.random.default_rng(0)
    assign = rng.integers(0, 3, 300)
    for dataset, shift in (("digits", 0.0), ("shapes", -0.2)):
        for method, acc in ROWS.items():
            for seed in range(3):
                cell = Cell(method, dataset, "transductive", "quick", seed)
                drawn = draw(
                    fit=cell.fit_fingerprint,
                    inputs=rng.integers(0, 256, (300, 1, 8, 8), dtype=np.uint8),
                    embedding=rng.normal(size=(300, 4)) + 3 * np.eye(4)[assign],
                    assign=assign,
                    truth=rng.integers(0, 3, 300),
                    rows=np.arange(300),
                    images=True,
                )
                acc_here = acc if (method, dataset) != ("gmm", "shapes") else 0.95
                results.write(cell.key, record(cell, acc_here + shift), None, drawn if seed == 0 else None)
    outside = Cell("dec", "npz-evil-00000000", "transductive", "quick", 0)
    facts = {"title": EVIL, "source": "javascript:window.hit=4", "licence": EVIL, "modality": "vector", "shape": [3], "n": 9}
    results.write(outside.key, record(outside, 0.5, {**facts, "classes": 3, "rule": EVIL, "base": EVIL, "pretrained": EVIL}))
    build(results, folder / "site")
    yield folder / "site"
    del methods.registry._room._plugins["evil_method"]


def test_every_page_is_whole_and_asks_for_nothing_else(site: Path) -> None:
    """Each page forbids what is not its own; every file it names is there; no address is loaded from the network."""
    pages = list(site.rglob("*.html"))
    assert {path.parent.name for path in pages} == {"site", "methods", "datasets"}
    for path in pages:
        text = path.read_text(encoding="utf-8")
        assert "default-src 'none'" in text
        for kind, target in re.findall(r'<(script|link)[^>]* (?:src|href)="([^"]+)"', text):
            assert target == "data:," or (path.parent / target).is_file(), (path, kind, target)
        for target in re.findall(r'<a [^>]*href="([^"#]+)', text):
            assert re.match("https?://", target) or (path.parent / target).is_file(), (path, target)


def test_hostile_text_is_text(site: Path) -> None:
    """No name, title, licence, setting or curve of the hostile kind ends a tag, a string or a script anywhere."""
    for path in [*site.rglob("*.html"), site / "data.js", *(site / "cells").glob("*.js")]:
        text = path.read_text(encoding="utf-8")
        assert "<script>window" not in text, path
        assert "<img src=x" not in text, path
        assert 'href="javascript' not in text, path
        assert "\u2028" not in text or path.suffix == ".html", path
    assert "&lt;script&gt;window.hit" in (site / "methods" / "evil_method.html").read_text(encoding="utf-8")


def test_data_of_scripts_come_back_as_they_were() -> None:
    """What is written as a script is the value, and holds no character that HTML or older JavaScript could trip over."""
    text = script("x", {"a": EVIL})
    assert json.loads(text.removeprefix("x = ").removesuffix(";\n")) == {"a": EVIL}
    assert not set(text) & set("<>&\u2028\u2029")
    assert "</" not in text


@pytest.mark.parametrize("name", ["a|b", "<script>", "../../etc", "🎲", 'x"y', "", "A B", "a" * 300, "..", "a..b"])
def test_a_strange_name_is_no_path(name: str) -> None:
    """A name that is not plain becomes a hash; a plain one stays, and no two names share an address."""
    assert re.fullmatch("[0-9a-f]{16}", address(name))
    assert address("mnist-test") == "mnist-test"
    assert address(name) != address(name + "x")


def test_strange_keys_make_a_page(site: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Even a board whose methods and datasets have hostile names, which no record can have, becomes a harmless page."""
    results = Results(site.parent / "results")
    made = page.Board.of(results)
    groups = {(f"{key[0]}{EVIL}", f"{key[1]}{EVIL}", EVIL, *key[3:]): group for key, group in made.groups.items()}
    monkeypatch.setattr(page.Board, "of", classmethod(lambda cls, results: replace(made, groups=groups)))
    build(results, tmp_path / "site")
    for path in (tmp_path / "site").rglob("*.html"):
        assert "<script>window" not in path.read_text(encoding="utf-8")
    assert len(list((tmp_path / "site" / "cells").iterdir())) == len(groups)


def test_the_page_depends_on_the_records_alone(site: Path, tmp_path: Path) -> None:
    """Built again, every byte is the same; built over the old page, nothing of it stays."""
    again = tmp_path / "site"
    build(Results(site.parent / "results"), again)
    (again / "old.html").write_text("old")
    build(Results(site.parent / "results"), again)
    one, other = ({p.relative_to(f): p.read_bytes() for p in f.rglob("*") if p.is_file()} for f in (site, again))
    assert one == other


def test_a_folder_of_the_users_is_not_replaced(tmp_path: Path) -> None:
    """A folder that holds something else than a page, or a file, is refused and stays as it was."""
    (tmp_path / "thesis.tex").write_text("years of work")
    for out in (tmp_path, tmp_path / "thesis.tex"):
        with pytest.raises(UserError, match="no page of this program"):
            build(Results(tmp_path / "none"), out)
    assert (tmp_path / "thesis.tex").read_text() == "years of work"


def test_no_records_make_a_page(tmp_path: Path) -> None:
    """Without records there is a page that says so."""
    (tmp_path / "results").mkdir()
    assert build(Results(tmp_path / "results"), tmp_path / "site")["cells"] == 0


def test_licences_come_with_what_is_vendored(site: Path) -> None:
    """The texts of both libraries' licences lie in the site."""
    text = (site / "vendor" / "LICENCES.txt").read_text(encoding="utf-8")
    assert text.count("Permission is hereby granted") >= 2
    assert {"jQuery", "DataTables", "Plotly"} <= set(re.findall("jQuery|DataTables|Plotly", text))
    with pytest.raises(UserError, match="another bundle"):
        as_script("nothing is exported here")


def test_confusion_is_matched_by_hand() -> None:
    """Clusters stand in the order of their classes, unmatched ones last."""
    found = confusion([[0, 2, 30], [1, 0, 20], [1, 2, 5], [2, 1, 45], [2, -1, 3]])
    assert found == {
        "classes": [0, 1, 2],
        "clusters": [2, 0, 1, -1],
        "matched": [0, 1, 2, None],
        "counts": [[30, 0, 0, 0], [5, 20, 0, 0], [0, 0, 45, 3]],
    }


def test_show_in_a_terminal(site: Path) -> None:
    """A method's lines hold the interval of its ACC and its course over time, as blocks."""
    results = Results(site.parent / "results")
    text = measured(results, {key for key, _ in results.records() if "/dec/" in key})
    assert "78.5 to 83.5  ▁█" in text
    assert sparkline([0.1, 0.4, 0.8, 0.8]) == "▁▄██"
    assert (sparkline([2, 2, 2]), sparkline([1]), sparkline(["<b>", 1]), sparkline([float("nan"), 1])) == ("▄▄▄", "", "", "")


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """Debian's chromium; skipped where there is none."""
    webdriver = pytest.importorskip("selenium.webdriver")
    if not (CHROME and DRIVER):
        pytest.skip("no chromium and chromedriver here; on Debian: apt-get install chromium chromium-driver")
    options = webdriver.ChromeOptions()
    options.binary_location = CHROME
    flags = "headless=new no-sandbox disable-gpu disable-background-networking no-first-run window-size=1280,900"
    for flag in [*flags.split(), f"user-data-dir={tmp_path_factory.mktemp('chromium')}"]:
        options.add_argument(f"--{flag}")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(DRIVER))
    media(driver, "light")
    driver.get("about:blank")
    driver.get_log("performance")  # the first tab is the browser's own
    yield driver
    driver.quit()


def media(driver: Any, scheme: str) -> None:
    """What the system prefers, as the page sees it."""
    features = [{"name": "prefers-color-scheme", "value": scheme}]
    driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})


@pytest.fixture
def visit(browser: Any, site: Path) -> Iterator[Any]:
    """Opens an address of the site anew. At the end: no error in the console, no request but to the disk, no hostile script."""

    def go(inner: str = "index.html") -> Any:
        browser.get("about:blank")
        browser.get(f"{site.as_uri()}/{inner}")
        return browser

    yield go
    assert browser.execute_script("return window.hit") is None
    assert [entry for entry in browser.get_log("browser") if entry["level"] in ("SEVERE", "WARNING")] == []
    events = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    asked = [event["params"]["request"]["url"] for event in events if event["method"] == "Network.requestWillBeSent"]
    assert asked
    assert all(url.startswith(("file:", "data:", "blob:", "about:")) for url in asked)


def order(driver: Any) -> list[str]:
    """The methods of the board from top to bottom."""
    return driver.execute_script("return [...document.querySelectorAll('#board tbody th a')].map(a => a.textContent)")


def choose(driver: Any, name: str, value: str) -> None:
    """Chooses an entry of a select."""
    code = "const e = document.getElementById(arguments[0]); e.value = arguments[1]; e.dispatchEvent(new Event('change'))"
    driver.execute_script(code, name, value)


def click(driver: Any, selector: str) -> None:
    """Clicks the first element."""
    driver.find_element("css selector", selector).click()


def wait_for(driver: Any, code: str) -> Any:
    """What the script gives, once that is true; fails after ten seconds."""
    from selenium.webdriver.support.ui import WebDriverWait

    return WebDriverWait(driver, 10, poll_frequency=0.05).until(lambda d: d.execute_script(f"return {code}"))


def test_sorts_by_mouse_and_keyboard(visit: Any) -> None:
    """A head sorts by its column, says so to a screen reader, answers to Enter, and goes into the address."""
    driver = visit()
    assert {order(driver)[0], order(driver)[1]} == {"pixels_kmeans", "supervised_ceiling"}
    bold = driver.execute_script("return [...document.querySelectorAll('#board strong')].map(e => e.textContent)")
    assert sorted(bold) == ["76.0 ± 1.0", "81.0 ± 1.0"]
    click(driver, "#board thead th:nth-child(6)")
    wait_for(
        driver, "document.querySelector('#board thead th:nth-child(6)').ariaSort === 'descending'"
    )  # it sorts a moment later
    assert order(driver)[:2] == ["supervised_ceiling", "gmm"]
    head = driver.find_element("css selector", "#board thead th:nth-child(6)")
    assert head.get_attribute("aria-sort") == "descending"
    assert "sort=shapes:desc" in driver.current_url
    driver.find_element("css selector", "#board thead th:nth-child(5) .dt-column-order").send_keys("\ue007")
    wait_for(driver, "document.querySelector('#board thead th:nth-child(5)').ariaSort === 'descending'")
    assert order(driver)[:3] == ["supervised_ceiling", "dec", "simclr"]


def test_filters_and_searches(visit: Any) -> None:
    """Family, dataset, what was told, metric and search each narrow or change the board and go into the address."""
    driver = visit("index.html#suite=all")
    assert len(order(driver)) == 6
    click(driver, "#more summary")
    click(driver, "#told input[value=labels]")
    assert "supervised_ceiling" not in order(driver)
    click(driver, "#family input[value=autoencoder]")
    assert order(driver) == ["dec"]
    click(driver, "#family input[value=classical]")
    click(driver, "#dataset input[value=shapes]")
    heads = driver.execute_script("return [...document.querySelectorAll('#board thead th.number')].map(th => th.textContent)")
    assert heads == ["shapes"]
    assert not driver.find_elements("css selector", "#board strong")
    choose(driver, "metric", "nmi")
    assert "NMI" in driver.find_element("css selector", "#board caption").text
    driver.find_element("id", "search").send_keys("gm")
    assert order(driver) == ["gmm"]
    assert driver.find_element("id", "said").text == "1 row"
    shared = driver.current_url
    for part in ("told=labels", "family=autoencoder,classical", "dataset=shapes", "metric=nmi", "search=gm", "suite=all"):
        assert part in shared
    driver.get("about:blank")
    driver.get(shared)
    assert order(driver) == ["gmm"]
    assert driver.find_element("id", "search").get_attribute("value") == "gm"
    click(driver, "#reset")
    assert len(order(driver)) >= 5


def test_compares_and_shares(visit: Any) -> None:
    """Chosen methods stand side by side with intervals, in a plot and in a table, and a link brings them back."""
    driver = visit()
    for name in ("dec", "gmm"):
        click(driver, f"#board input[value^='{name}/']")
    wait_for(driver, "document.querySelectorAll('#comparison-plot .scatterlayer .trace').length === 2")
    shared = driver.current_url
    driver.get("about:blank")
    driver.get(shared)
    wait_for(driver, "document.querySelectorAll('#comparison-plot .scatterlayer .trace').length === 2")
    text = driver.find_element("id", "comparison-table").text
    assert "81.0 ± 1.0" in text
    assert "78.5 to 83.5" in text
    assert "dec, gmm" in driver.find_element("id", "comparison-plot").get_attribute("aria-label")


def test_a_methods_page(visit: Any) -> None:
    """Card, scores, curves, confusion, two maps and images are there, for the row that the address names."""
    driver = visit("methods/dec.html#cell=shapes--dec--base--transductive--quick")
    titles = wait_for(
        driver,
        "document.querySelectorAll('.plots.two .main-svg').length > 1 && "
        "[...document.querySelectorAll('#detail h3')].map(h => h.textContent)",
    )
    wanted = "Scores and cost|Snapshots over time|Training curve|Confusion after matching, seed 0|Map, seed 0"
    assert titles == [*wanted.split("|"), "Examples of each cluster, seed 0", "Settings"]
    assert driver.find_element("id", "cell").get_attribute("value").startswith("shapes--")
    assert driver.execute_script("return [...document.querySelectorAll('.strip')].every(s => s.offsetWidth > 30)")
    labels = driver.execute_script("return [...document.querySelectorAll('.plot')].map(p => p.getAttribute('aria-label'))")
    assert any("95 of 100 samples in matched cells" in label for label in labels)
    choose(driver, "cell", "digits--dec--base--transductive--quick")
    assert wait_for(driver, "document.getElementById('said').textContent.includes('digits')")
    assert "cell=digits--dec" in driver.current_url
    wait_for(driver, "document.querySelectorAll('.plots.two .main-svg').length > 1")


def test_hostile_pages_run_nothing(visit: Any) -> None:
    """The pages of a hostile method and of a hostile dataset show the text and run none of it."""
    driver = visit("datasets/npz-evil-00000000.html")
    assert "onerror=window.hit" in driver.find_element("id", "main").text
    driver = visit("methods/evil_method.html")
    wait_for(driver, "document.querySelectorAll('.plots.two .main-svg').length > 1")
    assert "onerror=window.hit" in driver.find_element("css selector", ".lead").text
    assert driver.find_elements("css selector", "a[href^='javascript']") == []


def test_light_and_dark(visit: Any, browser: Any) -> None:
    """The system's wish counts until the switch is used; text has a contrast of 4.5 or more in both."""
    contrast = """
      const l = c => c.match(/[\\d.]+/g).slice(0, 3).map(v => v / 255)
        .map(v => v <= .03928 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4).reduce((s, v, i) => s + v * [.2126, .7152, .0722][i], 0);
      const back = l(getComputedStyle(document.body).backgroundColor);
      return [...document.querySelectorAll('h1, .lead, a, caption, label, .marks, td, th')].map(e => l(getComputedStyle(e).color))
        .map(v => (Math.max(v, back) + .05) / (Math.min(v, back) + .05)).reduce((a, b) => Math.min(a, b))"""
    seen = []
    for scheme in ("light", "dark"):
        media(browser, scheme)
        driver = visit()
        assert driver.execute_script("return document.documentElement.dataset.theme") == scheme
        assert driver.execute_script(contrast) >= 4.5
        seen.append(driver.execute_script("return getComputedStyle(document.body).backgroundColor"))
    assert seen[0] != seen[1]
    click(driver, "#theme")
    assert driver.execute_script("return document.documentElement.dataset.theme") == "light"
    assert "theme=light" in driver.current_url
    media(browser, "light")
    browser.execute_script("localStorage.clear()")


def test_a_phone(visit: Any, browser: Any) -> None:
    """At the width of a phone no page scrolls sideways, and the board scrolls within itself."""
    size = {"width": 375, "height": 700, "deviceScaleFactor": 1, "mobile": True}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    for inner in ("index.html", "methods/gmm.html", "datasets/digits.html"):
        driver = visit(inner)
        assert driver.execute_script("return document.documentElement.scrollWidth") <= 375, inner
    browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def test_keyboard_and_reader(visit: Any) -> None:
    """Tab comes to the skip link first, focus is seen, each control has a name, each head a scope."""
    driver = visit()
    active = driver.switch_to.active_element
    active.send_keys("\ue004")
    assert driver.switch_to.active_element.get_attribute("class") == "skip"
    driver.switch_to.active_element.send_keys("\ue004")
    assert driver.execute_script("return getComputedStyle(document.activeElement).outlineStyle") == "solid"
    nameless = """return [...document.querySelectorAll('input, select, button')].filter(e =>
      !(e.labels && e.labels.length) && !e.getAttribute('aria-label') && !e.textContent.trim()).length"""
    assert driver.execute_script(nameless) == 0
    assert driver.execute_script("return [...document.querySelectorAll('th')].filter(th => !th.scope).length") == 0
