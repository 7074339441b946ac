"use strict";
// The board: what is chosen stands in the address; each change writes it there and draws the table anew.
const data = window.BB_DATA;
const $ = (id) => document.getElementById(id);
const LISTS = ["family", "dataset", "told"];
const ALL = "all";
let grid = null;

const list = (text) => (text ? text.split(",").filter(Boolean) : []);
const unique = (values) => [...new Set(values)].sort();
const has = (object, name) => Object.prototype.hasOwnProperty.call(object, name);
const rowId = (row) => [row.method, row.variant, row.track, row.budget].join("/");

function state() {
  const choices = BB.choices();
  const get = (name, allowed, standard) => (allowed.includes(choices.get(name)) ? choices.get(name) : standard);
  const suites = data.suites.map((suite) => suite.name);
  return {
    suite: get("suite", [ALL, ...suites], suites[0] || ALL),
    track: get("track", unique(data.rows.map((row) => row.track)), ALL),
    budget: get("budget", unique(data.rows.map((row) => row.budget)), ALL),
    metric: get("metric", data.metrics.map((metric) => metric.name), data.metrics[0].name),
    search: choices.get("search") || "",
    sort: choices.get("sort") || "",
    compare: list(choices.get("compare")),
    family: list(choices.get("family")),
    dataset: list(choices.get("dataset")),
    told: list(choices.get("told")),
  };
}

// The groups of seeds that are shown: [rows, datasets].
function shown(now) {
  const suite = data.suites.find((one) => one.name === now.suite);
  const inSuite = (row) =>
    !suite || (row.track === suite.track && row.budget === suite.budget && suite.datasets.includes(row.dataset));
  const cells = data.rows.filter(
    (row) =>
      inSuite(row) &&
      (now.track === ALL || row.track === now.track) &&
      (now.budget === ALL || row.budget === now.budget) &&
      (!now.family.length || now.family.includes(data.methods[row.method].family)) &&
      (!now.dataset.length || now.dataset.includes(row.dataset)) &&
      !row.told.some((word) => now.told.includes(word)),
  );
  const sets = suite ? suite.datasets : Object.keys(data.datasets);
  const columns = sets.filter((name) => cells.some((row) => row.dataset === name));
  const rows = new Map();
  for (const cell of cells) {
    const id = rowId(cell);
    if (!rows.has(id)) rows.set(id, { id, ...cell, cells: new Map() });
    rows.get(id).cells.set(cell.dataset, cell);
  }
  const place = new Map((suite ? suite.order : []).map((pair, index) => [pair.join("/"), index]));
  const rank = (row) => place.get(row.method + "/" + row.variant) ?? (data.methods[row.method].bound ? -1 : 1e6);
  return [[...rows.values()].sort((a, b) => rank(a) - rank(b) || (a.id < b.id ? -1 : 1)), columns];
}

function marks(cell) {
  const said = [];
  if (cell.ok && cell.ok < cell.seeds) said.push([cell.ok + "/" + cell.seeds, cell.ok + " of " + cell.seeds + " seeds ended ok"]);
  else if (cell.ok && cell.seeds === 1) said.push(["n=1", "one seed"]);
  if (cell.stale) said.push(["†", "stale: code or settings changed since"]);
  if (cell.collapsed) said.push(["○", "collapsed: fewer than k clusters used, or features fallen together"]);
  return said.map(([sign, words]) => BB.make("span", { class: "mark", title: words }, " ", sign));
}

function scoreCell(cell, metric, isBest) {
  if (!cell) return BB.make("td", { "data-order": "-9" });
  const numbers = cell.scores[metric.name];
  if (!numbers) {
    const words = cell.ok ? "" : cell.states.join(", ").replace("_", " ");
    return BB.make("td", { class: "number", "data-order": "-5" }, words === "not applicable" ? BB.make("span", { title: words }, "–") : words);
  }
  const text = BB.score(numbers, metric.raw);
  const interval = BB.interval(numbers, metric.raw);
  const td = BB.make("td", { class: "number", "data-order": numbers[0], title: interval && "95% interval of the mean: " + interval });
  td.append(isBest ? BB.make("strong", null, text) : text, ...marks(cell));
  return td;
}

function draw() {
  const now = state();
  const metric = data.metrics.find((one) => one.name === now.metric);
  const [rows, columns] = shown(now);
  // As on the leaderboard: the best of a suite and what is not clearly worse; of no suite there is none.
  const best = data.suites.find((one) => one.name === now.suite)?.best[metric.name] || {};
  const isBest = (row, set) => has(best, set) && best[set].includes(row.method + "/" + row.variant);
  const many = new Set(rows.map((row) => row.track + row.budget)).size > 1;
  const head = BB.make("tr", null,
    BB.make("th", { scope: "col", class: "pick" }, "Compare"), BB.make("th", { scope: "col" }, "Method"),
    BB.make("th", { scope: "col", class: "extra" }, "Family"), BB.make("th", { scope: "col", class: "extra" }, "Told"),
    columns.map((name) => BB.make("th", { scope: "col", class: "number" }, name)));
  const body = rows.map((row) => {
    const facts = data.methods[row.method];
    const box = BB.make("input", { type: "checkbox", value: row.id, "aria-label": "Compare " + row.method + " " + row.variant });
    box.checked = now.compare.includes(row.id);
    const name = BB.make("th", { scope: "row", class: facts.bound ? "bound" : null },
      BB.make("a", { href: "methods/" + facts.page + ".html", title: facts.title }, row.method));
    if (row.variant !== "base") name.append(" ", BB.make("span", { class: "tag" }, row.variant));
    if (many) name.append(" ", BB.make("span", { class: "tag" }, row.track + ", " + row.budget));
    if (row.kind) name.append(" ", BB.make("span", { class: "tag" }, row.kind));
    if (facts.bound) name.append(BB.make("span", { class: "hidden" }, " (bound)"));
    return BB.make("tr", null, BB.make("td", { class: "pick" }, box), name,
      BB.make("td", { class: "extra" }, facts.family.replace("_", " ")), BB.make("td", { class: "extra" }, row.told.join(", ") || "nothing"),
      columns.map((set) => scoreCell(row.cells.get(set), metric, isBest(row, set))));
  });
  const unit = metric.raw ? "" : ", %";
  const table = BB.make("table", { class: "board" },
    BB.make("caption", null, metric.title + unit + (metric.better === "lower" ? "; lower is better" : "")),
    BB.make("thead", null, head), BB.make("tbody", null, body));
  if (grid) grid.destroy();
  $("board").replaceChildren(table);
  const names = ["", "method", "family", "told", ...columns];
  const [by, way] = now.sort.split(":");
  const place = by ? names.indexOf(by) : -1;
  grid = BB.table(table, {
    columnDefs: [{ targets: 0, orderable: false }, { targets: columns.map((_, i) => i + 4), orderSequence: ["desc", "asc", ""] }],
    order: place > 0 ? [[place, way === "asc" ? "asc" : "desc"]] : [],
    search: { search: now.search },
    language: { emptyTable: "Nothing fits these choices.", zeroRecords: "Nothing fits the search." },
  });
  grid.on("order", () => {
    const [order] = grid.order();
    BB.choose({ sort: order && order[1] ? names[order[0]] + ":" + order[1] : "" });
  });
  say();
  for (const th of table.querySelectorAll("thead th")) {
    const set = data.datasets[th.textContent];
    if (set && has(data.datasets, th.textContent)) th.title = set.title;
  }
  compare(now, rows, columns, metric);
}

function say() {
  const count = grid.rows({ search: "applied" }).count();
  $("said").textContent = count + (count === 1 ? " row" : " rows");
}

async function compare(now, rows, columns, metric) {
  const chosen = now.compare.map((id) => rows.find((row) => row.id === id)).filter(Boolean);
  $("comparison").hidden = !chosen.length;
  if (!chosen.length) return;
  const scale = metric.raw ? 1 : 100;
  const name = (row) => row.method + (row.variant === "base" ? "" : " " + row.variant);
  const traces = chosen.map((row, index) => {
    const known = columns.filter((set) => row.cells.get(set)?.scores[metric.name]);
    const numbers = known.map((set) => row.cells.get(set).scores[metric.name]);
    return {
      type: "scatter", mode: "markers", name: BB.plain(name(row)), marker: { size: 10, color: BB.shade(index), symbol: index % 8 },
      x: known.map((set) => columns.indexOf(set) + (index - (chosen.length - 1) / 2) * 0.12), y: numbers.map((one) => scale * one[0]),
      error_y: { type: "data", array: numbers.map((one) => (one[2] === null ? 0 : scale * (one[3] - one[0]))), thickness: 1.5 },
      hovertemplate: "%{y:.1f}",
    };
  });
  const table = BB.make("table", { class: "board" },
    BB.make("caption", null, metric.title + (metric.raw ? "" : ", %") + ": mean ± standard deviation, below it the 95% interval of the mean"),
    BB.make("thead", null, BB.make("tr", null, BB.make("th", { scope: "col" }, "Dataset"), chosen.map((row) => BB.make("th", { scope: "col", class: "number" }, name(row))))),
    BB.make("tbody", null, columns.map((set) => BB.make("tr", null, BB.make("th", { scope: "row" }, BB.make("a", { href: "datasets/" + data.datasets[set].page + ".html" }, set)),
      chosen.map((row) => {
        const cell = row.cells.get(set);
        const numbers = cell && cell.scores[metric.name];
        return BB.make("td", { class: "number" }, BB.score(numbers, metric.raw), cell ? marks(cell) : "", BB.make("span", { class: "interval" }, BB.interval(numbers, metric.raw)));
      })))));
  $("comparison-table").replaceChildren(table);
  await BB.plot($("comparison-plot"), traces, {
    xaxis: { tickvals: columns.map((_, i) => i), ticktext: columns.map(BB.plain), range: [-0.5, columns.length - 0.5] },
    yaxis: { title: { text: BB.plain(metric.title) } }, showlegend: true,
  }, metric.title + " of " + chosen.map(name).join(", ") + "; the numbers are in the table below");
}

function fill(now) {
  const options = (id, pairs) => {
    $(id).replaceChildren(...pairs.map(([value, text]) => BB.make("option", { value }, text)));
    $(id).value = now[id];
  };
  options("suite", [...data.suites.map((suite) => [suite.name, suite.name + ": " + suite.title]), [ALL, "all records"]]);
  options("track", [[ALL, "any"], ...unique(data.rows.map((row) => row.track)).map((name) => [name, name])]);
  options("budget", [[ALL, "any"], ...unique(data.rows.map((row) => row.budget)).map((name) => [name, name])]);
  options("metric", data.metrics.map((metric) => [metric.name, metric.title]));
  $("search").value = now.search;
  const values = {
    family: unique(data.rows.map((row) => data.methods[row.method].family)),
    dataset: unique(data.rows.map((row) => row.dataset)),
    told: unique(data.rows.flatMap((row) => row.told)),
  };
  for (const id of LISTS) {
    const boxes = values[id].map((value) => {
      const box = BB.make("input", { type: "checkbox", value });
      box.checked = now[id].includes(value);
      return BB.make("label", null, box, " ", value.replace("_", " "));
    });
    $(id).replaceChildren($(id).querySelector("legend"), ...boxes);
  }
  const count = LISTS.reduce((sum, id) => sum + now[id].length, 0);
  $("chosen").textContent = count ? "(" + count + " chosen)" : "";
  if (count) $("more").open = true;
}

for (const id of ["suite", "track", "budget", "metric"]) {
  $(id).addEventListener("change", () => {
    BB.choose({ [id]: $(id).value === ALL && id !== "suite" ? "" : $(id).value, ...(id === "suite" ? { track: "", budget: "", sort: "" } : {}) });
    fill(state());
    draw();
  });
}
for (const id of LISTS) {
  $(id).addEventListener("change", () => {
    BB.choose({ [id]: [...$(id).querySelectorAll(":checked")].map((box) => box.value).join(",") });
    draw();
    const count = LISTS.reduce((sum, one) => sum + state()[one].length, 0);
    $("chosen").textContent = count ? "(" + count + " chosen)" : "";
  });
}
$("search").addEventListener("input", () => {
  BB.choose({ search: $("search").value });
  grid.search($("search").value).draw();
  say();
});
$("board").addEventListener("change", (event) => {
  const chosen = new Set(state().compare);
  if (event.target.checked) chosen.add(event.target.value);
  else chosen.delete(event.target.value);
  BB.choose({ compare: [...chosen].join(",") });
  const now = state();
  compare(now, ...shown(now), data.metrics.find((one) => one.name === now.metric));
});
$("filters").addEventListener("submit", (event) => event.preventDefault());
$("reset").addEventListener("click", () => {
  history.replaceState(null, "", location.pathname + location.search);
  $("more").open = false;
  fill(state());
  draw();
});
$("link").addEventListener("click", async () => {
  try {
    await navigator.clipboard.writeText(location.href);
    $("said").textContent = "The link is copied; it holds every choice.";
  } catch (error) {
    $("said").textContent = "Copy the address of this page; it holds every choice.";
  }
});
addEventListener("hashchange", () => {
  if (location.hash && !location.hash.includes("=")) return;
  fill(state());
  draw();
});
if (data.metrics.length && data.rows.length) {
  fill(state());
  draw();
} else {
  $("board").textContent = "No records yet.";
}
