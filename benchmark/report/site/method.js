"use strict";
// A method's page: one group of seeds in detail, from a script of its own, so that a page stays small.
const NOISE = "noise";
const words = (values) => (values.length > 1 ? values.slice(0, -1).join(", ") + " and " + values[values.length - 1] : values.join(""));
const className = (cell, index) => (index in cell.classes ? String(cell.classes[index]) : String(index));
const clusterName = (index) => (index < 0 ? NOISE : "cluster " + index);

function section(title, ...children) {
  return BB.make("section", { class: "panel" }, BB.make("h3", null, title), ...children);
}

function scores(cell) {
  const rows = cell.metrics.filter((metric) => cell.scores[metric.name]).map((metric) => {
    const numbers = cell.scores[metric.name];
    const unit = metric.raw ? "" : "%";
    return BB.make("tr", null, BB.make("th", { scope: "row" }, metric.title), BB.make("td", { class: "number", "data-order": numbers[0] }, BB.score(numbers, metric.raw), unit && " " + unit),
      BB.make("td", { class: "number" }, BB.interval(numbers, metric.raw)), BB.make("td", null, metric.better === "neither" ? "" : metric.better));
  });
  return BB.make("div", { class: "wide" }, BB.make("table", null, BB.make("caption", null, "Every score of " + cell.dataset + ", over " + cell.ok + " of " + cell.seeds + " seeds"),
    BB.make("thead", null, BB.make("tr", null, ["Score", "Mean ± std", "95% interval", "Better"].map((text, i) => BB.make("th", { scope: "col", class: i === 1 || i === 2 ? "number" : null }, text)))),
    BB.make("tbody", null, rows)));
}

// Snapshots are equally spaced and the last is the end; a curve begins with the first epoch.
function lines(place, series, title, percent) {
  const axis = "% of training";
  const traces = series.map((one) => ({
    type: "scatter", mode: one.values.length > 1 ? "lines" : "markers", name: "seed " + one.seed, line: { width: 1.5, color: BB.shade(one.seed % 10) },
    x: one.values.map((_, i) => (100 * (i + 1)) / one.values.length), y: one.values.map((value) => (percent ? 100 * value : value)),
  }));
  const last = words(series.map((one) => BB.number(one.values[one.values.length - 1], !percent)));
  return BB.plot(place, traces, { height: 260, showlegend: series.length > 1, xaxis: { title: { text: axis } }, yaxis: { title: { text: BB.plain(title) } } },
    title + " over the training; it ends at " + last);
}

function confusion(place, cell) {
  const table = cell.confusion;
  const columns = table.clusters.map((cluster) => (cluster < 0 ? NOISE : String(cluster)));
  const classes = table.classes.map((index) => className(cell, index));
  const total = table.counts.map((row) => row.reduce((a, b) => a + b, 0));
  const shares = table.counts.map((row, i) => row.map((count) => (100 * count) / total[i]));
  const hits = table.clusters.reduce((sum, _, j) => sum + (table.matched[j] === null ? 0 : table.counts[table.classes.indexOf(table.matched[j])][j]), 0);
  const n = total.reduce((a, b) => a + b, 0);
  const small = classes.length <= 12 && columns.length <= 12;
  return BB.plot(place, [{
    type: "heatmap", z: shares, x: columns.map((_, j) => j), y: classes.map((_, i) => i), zmin: 0, zmax: 100, showscale: !small,
    colorscale: [[0, BB.colour("paper")], [1, BB.colour("accent")]], text: table.counts.map((row) => row.map(String)), texttemplate: small ? "%{text}" : "",
    hovertext: table.counts.map((row, i) => row.map((count, j) => BB.plain(classes[i] + ", " + clusterName(table.clusters[j])) + ": " + count)), hoverinfo: "text",
  }], {
    height: Math.max(320, Math.min(700, 26 * classes.length + 110)),
    xaxis: { title: { text: "cluster, in the order of matched classes" }, tickvals: small ? columns.map((_, j) => j) : undefined, ticktext: small ? columns : undefined, constrain: "domain" },
    yaxis: { autorange: "reversed", tickvals: classes.map((_, i) => i), ticktext: classes.map(BB.plain) },
  }, "Confusion of classes and clusters after matching: " + hits + " of " + n + " samples in matched cells");
}

function map(place, cell, by) {
  const points = cell.figures.map;
  const ids = points[by];
  const kinds = [...new Set(ids)].sort((a, b) => a - b);
  const traces = kinds.map((kind) => {
    const rows = ids.map((id, i) => (id === kind ? i : -1)).filter((i) => i >= 0);
    const name = by === "class" ? className(cell, kind) : clusterName(kind);
    return { type: "scatter", mode: "markers", name: BB.plain(name), x: rows.map((i) => points.x[i]), y: rows.map((i) => points.y[i]), marker: { size: 4, opacity: 0.75, color: BB.shade(kind) }, hovertemplate: "%{fullData.name}<extra></extra>" };
  });
  const bare = { showgrid: false, zeroline: false, showticklabels: false, range: [-5, 260] };
  return BB.plot(place, traces, { height: 430, title: { text: "by " + by, font: { size: 13 } }, showlegend: kinds.length <= 20, xaxis: { ...bare, scaleanchor: "y" }, yaxis: bare, margin: { l: 5, r: 5, t: 30, b: 5 }, legend: { orientation: "h", y: -0.02, yanchor: "top", itemsizing: "constant" } },
    "Map of " + ids.length + " samples, coloured by " + by + ", " + kinds.length + " in all");
}

function images(cell) {
  const { sheet, examples } = cell.figures;
  const scale = Math.max(1, Math.round(40 / sheet.side));
  const side = sheet.side * scale;
  const matched = new Map((cell.confusion ? cell.confusion.clusters : []).map((cluster, j) => [cluster, cell.confusion.matched[j]]));
  const rows = examples.map((one, y) => {
    const strip = BB.make("span", { class: "strip", role: "img", "aria-label": "images of " + clusterName(one.cluster) + (one.classes ? ": " + one.classes.map((index) => className(cell, index)).join(", ") : "") });
    strip.style.cssText = `width:${side * one.rows.length}px;height:${side}px;background-image:url(data:image/webp;base64,${sheet.webp});background-size:${side * sheet.columns}px ${side * examples.length}px;background-position:0 ${-side * y}px`;
    const to = matched.get(one.cluster);
    return BB.make("li", null, BB.make("span", { class: "label" }, clusterName(one.cluster), to === null || to === undefined ? "" : " → " + className(cell, to)), strip);
  });
  return [BB.make("p", { class: "note" }, "The first samples of each cluster in the prepared order, which is random; none is chosen. Reduced pictures of " + cell.licence + "."), BB.make("ul", { class: "examples" }, rows)];
}

async function show(id) {
  const place = document.getElementById("detail");
  try {
    await BB.script(BB.root() + "cells/" + encodeURIComponent(id) + ".js");
  } catch (error) {
    place.textContent = "The numbers of this row are not in this folder.";
    return;
  }
  const cell = window.BB_CELL;
  place.replaceChildren();
  const jobs = [];
  const plot = (draw) => {
    const box = BB.make("div", { class: "plot" });
    jobs.push(() => draw(box));
    return box;
  };
  const states = cell.ok < cell.seeds ? BB.make("p", { class: "note" }, cell.ok + " of " + cell.seeds + " seeds ended ok; others: " + cell.states.join(", ").replace("_", " ")) : "";
  place.append(section("Scores and cost", states, BB.make("details", null, BB.make("summary", null, "Every score, with its interval"), scores(cell))));
  const over = Object.entries(cell.snapshots);
  if (over.length) place.append(section("Snapshots over time", BB.make("p", { class: "note" }, "Up to ten states of the training, scored afterwards. The last one counts; the best would be chosen by label."), BB.make("div", { class: "plots" }, over.map(([name, series]) => plot((box) => lines(box, series, name.toUpperCase() + ", %", true))))));
  const curves = Object.entries(cell.curves);
  if (curves.length) place.append(section("Training curve", BB.make("div", { class: "plots" }, curves.map(([name, series]) => plot((box) => lines(box, series, name, false))))));
  if (cell.confusion) place.append(section("Confusion after matching, seed 0", plot((box) => confusion(box, cell))));
  if (cell.figures) {
    const what = cell.figures.map;
    const parts = what.explained.map((part) => (100 * part).toFixed(0));
    place.append(section("Map, seed 0", BB.make("p", { class: "note" }, (what.of === "inputs" ? "This method has no embedding: the map is of the inputs. " : "The embedding on ") + (what.of === "inputs" ? "On their" : "its") + " first two principal components, " + parts.join("% and ") + "% of the variance; " + what.x.length.toLocaleString("en") + " samples."),
      BB.make("div", { class: "plots two" }, ["class", "cluster"].filter((by) => what[by]).map((by) => plot((box) => map(box, cell, by))))));
    if (cell.figures.sheet) place.append(section("Examples of each cluster, seed 0", ...images(cell)));
  }
  const settings = Object.entries(cell.config);
  if (settings.length) place.append(section("Settings", BB.make("dl", { class: "card" }, settings.map(([name, value]) => BB.make("div", null, BB.make("dt", null, name), BB.make("dd", null, value))))));
  if (cell.record) place.append(BB.make("p", { class: "note" }, "Record of seed 0: records/" + cell.record + (cell.commit ? ", commit " + cell.commit.slice(0, 12) : "") + (cell.date ? ", " + cell.date : "")));
  document.getElementById("said").textContent = "Shown: " + [cell.dataset, cell.track, cell.budget, cell.variant].join(", ");
  for (const job of jobs) await job();
}

for (const table of document.querySelectorAll("table.sorted")) BB.table(table);
const chooser = document.getElementById("cell");
if (chooser) {
  const pick = () => {
    const wanted = BB.choices().get("cell");
    const known = [...chooser.options].some((option) => option.value === wanted);
    chooser.value = known ? wanted : chooser.options[0].value;
    document.querySelectorAll("a.pick").forEach((link) => {
      const on = link.hash === "#cell=" + chooser.value;
      if (on) link.setAttribute("aria-current", "true");
      else link.removeAttribute("aria-current");
    });
    return show(chooser.value);
  };
  chooser.addEventListener("change", () => { BB.choose({ cell: chooser.value }); pick(); });
  addEventListener("hashchange", () => { if (BB.choices().get("cell")) pick(); });
  pick();
}
