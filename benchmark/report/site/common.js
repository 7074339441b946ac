"use strict";
// What every page needs: the theme, choices in the address, tables, plots. Text goes in as text, never as markup.
const BB = {};

BB.root = () => document.body.dataset.root;

// Choices stand behind the # of the address, as key=value pairs, so that a link carries them and no server is needed.
BB.choices = () => new URLSearchParams(location.hash.includes("=") ? location.hash.slice(1) : "");
BB.choose = (changes) => {
  const now = BB.choices();
  for (const [key, value] of Object.entries(changes)) {
    if (value === "" || value === null || value === undefined) now.delete(key);
    else now.set(key, value);
  }
  const text = now.toString().replace(/%2C/g, ",").replace(/%2F/g, "/").replace(/%3A/g, ":");
  history.replaceState(null, "", text ? "#" + text : location.pathname + location.search);
};

BB.remembered = (key, value) => {
  try {
    if (value !== undefined) localStorage.setItem(key, value);
    return localStorage.getItem(key);
  } catch (error) {
    return null; // a browser may keep nothing for pages from disk
  }
};

BB.theme = (wanted) => {
  const system = matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light";
  const theme = wanted || BB.choices().get("theme") || BB.remembered("theme") || system;
  const dark = theme === "dark";
  document.documentElement.dataset.theme = dark ? "dark" : "light";
  document.documentElement.classList.toggle("dark", dark);
  const button = document.getElementById("theme");
  if (button) {
    button.textContent = dark ? "Light" : "Dark";
    button.setAttribute("aria-pressed", String(dark));
    button.setAttribute("aria-label", dark ? "Dark theme is on; switch to light" : "Switch to the dark theme");
  }
  return dark;
};
BB.theme();

// An element with attributes and children; children that are no elements become text.
BB.make = (name, attributes, ...children) => {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes || {})) {
    if (value === false || value === null || value === undefined) continue;
    element.setAttribute(key, value === true ? "" : value);
  }
  for (const child of children.flat()) element.append(child instanceof Node ? child : String(child));
  return element;
};

BB.script = (path) =>
  new Promise((resolve, reject) => {
    const script = BB.make("script", { src: path });
    script.onload = () => { script.remove(); resolve(); };
    script.onerror = () => { script.remove(); reject(new Error(path + " is not there")); };
    document.head.append(script);
  });

BB.number = (value, raw) => {
  if (value === null || value === undefined) return "";
  if (!raw) return (100 * value).toFixed(1).replace(/^-0\.0$/, "0.0");
  return Math.abs(value) >= 1000 ? Math.round(value).toLocaleString("en") : String(Number(value.toPrecision(3)));
};
BB.score = (numbers, raw) => {
  if (!numbers) return "";
  return BB.number(numbers[0], raw) + (numbers[1] === null ? "" : " ± " + BB.number(numbers[1], raw));
};
BB.interval = (numbers, raw) =>
  numbers && numbers[2] !== null ? BB.number(numbers[2], raw) + " to " + BB.number(numbers[3], raw) : "";

// Sorting by the library, with keyboard and aria-sort; everything else a table may do is switched off.
BB.table = (table, options) =>
  new DataTable(table, {
    paging: false, info: false, autoWidth: false, searching: true, layout: { topStart: null, topEnd: null, bottomStart: null, bottomEnd: null },
    order: [], orderMulti: false, ...options,
  });

BB.colour = (name) => getComputedStyle(document.documentElement).getPropertyValue("--" + name).trim();
const TEN = ["#3b76c4", "#e07b28", "#3a9a4a", "#cf3f43", "#8a62c9", "#8f5d4e", "#d65fb0", "#7a7a7a", "#a8a022", "#20a7b8"];
BB.shade = (index) => {
  if (index < 0) return "#999999";
  if (index < TEN.length) return TEN[index];
  return "hsl(" + ((index * 137.508) % 360).toFixed(0) + ", 60%, " + (45 + 10 * (index % 3)) + "%)";
};
// The plot library reads a little markup in its texts.
BB.plain = (text) => String(text).replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;");

BB._plots = [];
BB._library = null;
BB.plot = async (place, traces, layout, label) => {
  place.setAttribute("role", "img");
  place.setAttribute("aria-label", label);
  BB._library = BB._library || BB.script(BB.root() + "vendor/plotly.min.js");
  await BB._library;
  const draw = () => {
    const ink = BB.colour("ink"), line = BB.colour("line");
    const axis = { gridcolor: line, zerolinecolor: line, linecolor: line, automargin: true };
    return Plotly.react(place, traces, {
      paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)", margin: { l: 50, r: 10, t: 40, b: 45 }, height: 320,
      font: { color: ink, family: "system-ui, sans-serif", size: 12 }, legend: { orientation: "h", y: 1.02, yanchor: "bottom" }, hovermode: "closest",
      ...layout, xaxis: { ...axis, ...layout.xaxis }, yaxis: { ...axis, ...layout.yaxis },
    }, { displaylogo: false, responsive: true, displayModeBar: false });
  };
  BB._plots = BB._plots.filter((one) => one.place.isConnected && one.place !== place);
  BB._plots.push({ place, draw });
  await draw();
};
BB.redraw = () => BB._plots.forEach((one) => one.place.isConnected && one.draw());

document.addEventListener("DOMContentLoaded", () => {
  BB.theme();
  document.getElementById("theme").addEventListener("click", () => {
    const theme = document.documentElement.dataset.theme === "dark" ? "light" : "dark";
    BB.remembered("theme", theme);
    BB.choose({ theme });
    BB.theme(theme);
    BB.redraw();
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => { BB.theme(); BB.redraw(); });
});
