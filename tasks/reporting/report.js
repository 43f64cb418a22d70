"use strict";
(() => {
  const data = (id) => JSON.parse(document.getElementById(id).textContent);
  const plots = [...document.querySelectorAll("[data-chart]")].map((place) => [place, JSON.parse(place.dataset.chart)]);
  const map = document.getElementById("feature-map");
  const points = map && data("map-data");
  // mid-tone colours that stay apart for the colour-blind and on both grounds (after Okabe and Ito 2008)
  const COLOURS = ["#3a8fd0", "#e0912f", "#1aa179", "#cc79a7", "#d0611c", "#8a78d6", "#a59a1c", "#7f8a96", "#3fb9c9", "#8f5a42"];
  const SYMBOLS = ["circle", "diamond", "square", "triangle-up", "triangle-down", "pentagon", "star", "hexagon"];
  const SCALE = [[0, "#5a54c8"], [0.35, "#b0509f"], [0.7, "#e27a4a"], [1, "#e8b830"]]; // readable on both grounds, from dark to light
  const MOST_NAMES = 30;
  const JOINTS = /(?<=[/_.-])(?=[^/_.\s-])/; // where a column's name may be broken into lines
  const PRINTED = 660; // pixels between the margins of A4 and of Letter
  const dark = window.matchMedia("(prefers-color-scheme: dark)");
  const narrow = window.matchMedia("(max-width: 560px)");
  const touch = window.matchMedia("(pointer: coarse)");

  // Plotly reads tags in names, so they are made plain text; isolated, lest they turn the legend around
  const plain = (text) => "\u2068" + (text.length > 24 ? text.slice(0, 23) + "…" : text)
    .replace(/[&<>]/g, (c) => ({ "&": "&amp;", "<": "&lt;", ">": "&gt;" })[c]) + "\u2069";

  function base(printed, width, height) {
    const night = dark.matches && !printed;
    const ink = night ? "#e6eaf0" : "#1c2430", line = night ? "#333c48" : "#dde2e9";
    const axis = { gridcolor: line, zeroline: false, linecolor: line, automargin: true };
    return {
      ink, axis,
      layout: {
        paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)", margin: { l: 44, r: 8, t: 8, b: 36 },
        font: { family: "system-ui, sans-serif", size: 12, color: ink }, dragmode: touch.matches ? false : "zoom",
        hoverlabel: { font: { family: "system-ui, sans-serif" } },
        modebar: { bgcolor: "rgba(0,0,0,0)", color: night ? "#a3adbb" : "#586374", activecolor: ink },
        ...(printed ? { width, height } : {}),
      },
    };
  }

  const CONFIG = {
    displaylogo: false, responsive: true, showTips: false,
    modeBarButtons: [["zoomIn2d", "zoomOut2d", "resetScale2d"]],
  };

  function drawCurve(place, chart, printed) {
    const { layout, axis } = base(printed, PRINTED / 2, 230);
    const traces = Object.entries(chart.lines).map(([name, y], i) => ({
      type: "scatter", mode: "lines+markers", name, x: chart.x, y, marker: { size: 5 },
      line: name === "train" || (chart.errors && i) ? { color: COLOURS[0], dash: "dot", width: 2 } : { color: COLOURS[4], width: 2 },
      ...(chart.errors?.[name] ? { error_y: { type: "data", array: chart.errors[name], thickness: 1, width: 3 } } : {}),
    }));
    Plotly.react(place, traces, {
      ...layout, hovermode: "x unified", legend: { orientation: "h", x: 1, xanchor: "right", y: 1.02, yanchor: "bottom" },
      showlegend: true, margin: { ...layout.margin, t: 28 },
      xaxis: { ...axis, title: { text: chart.axis }, tickformat: "d", tick0: chart.x[0], dtick: Math.ceil((chart.x.at(-1) - chart.x[0] + 1) / 8) },
      yaxis: { ...axis, tickformat: chart.percent ? ".0%" : ".3~g", hoverformat: chart.percent ? ".1%" : ".4~g" },
    }, { ...CONFIG, displayModeBar: false });
  }

  // one trace a class, or one whose colours are numbers
  function dots() {
    const size = narrow.matches ? 6 : 7;
    const trace = (rows, name, marker) => ({
      type: "scatter", mode: "markers", name, hoverinfo: "none", customdata: rows,
      x: rows.map((i) => points.x[i]), y: rows.map((i) => points.y[i]), marker: { size, opacity: 0.85, line: { width: 0 }, ...marker },
    });
    const all = points.ids.map((_, i) => i);
    if (points.number) {
      const bar = { orientation: "h", thickness: 10, len: 0.6, x: 0, xanchor: "left", y: -0.02, yanchor: "top", outlinewidth: 0,
        title: { text: points.coloured, side: "top" } };
      return [trace(all, "", { color: points.number, colorscale: SCALE, cmin: points.ends[0], cmax: points.ends[1],
        showscale: true, colorbar: bar })];
    }
    return points.labels.map((label, k) => trace(all.filter((i) => points.of[i] === k), plain(label || "no label"), {
      color: COLOURS[k % COLOURS.length], symbol: SYMBOLS[Math.floor(k / COLOURS.length) % SYMBOLS.length],
    })).filter((t) => t.x.length);
  }

  function drawMap(printed) {
    const { layout, ink } = base(printed, PRINTED, 440);
    const traces = dots();
    if (points.wrong.length) traces.push({
      type: "scatter", mode: "markers", name: "wrong", hoverinfo: "skip", x: points.wrong.map((i) => points.x[i]), y: points.wrong.map((i) => points.y[i]),
      marker: { size: narrow.matches ? 9 : 11, symbol: "circle-open", color: ink, line: { width: narrow.matches ? 1 : 1.5 } },
    });
    const bare = { visible: false, automargin: false };
    Plotly.react(map, traces, {
      ...layout, margin: { l: 0, r: 0, t: 32, b: points.number ? 56 : 0 }, hovermode: "closest", hoverdistance: 14,
      showlegend: !points.number && traces.length > 1 && points.labels.length <= MOST_NAMES,
      legend: { orientation: "h", x: 0, y: -0.02, yanchor: "top" }, xaxis: bare, yaxis: { ...bare, scaleanchor: "x" },
    }, CONFIG);
  }

  // everything that a person wrote goes into the page as text, in an element that keeps its direction
  function element(tag, parent, name, text) {
    const made = parent.appendChild(document.createElement(tag));
    if (name) made.className = name;
    if (text !== undefined) made.appendChild(document.createElement("bdi")).textContent = text;
    return made;
  }

  function showThumb(parent, sprite, i) {
    const thumb = element("div", parent, "thumb" + (sprite.coarse ? " coarse" : "")), { width, height, columns } = sprite;
    thumb.setAttribute("role", "img");
    thumb.setAttribute("aria-label", "picture of the row");
    const scale = thumb.clientWidth / width;
    thumb.style.height = `${height * scale}px`;
    thumb.style.backgroundImage = `url(${sprite.uri})`;
    thumb.style.backgroundPosition = `${-(i % columns) * width * scale}px ${-Math.floor(i / columns) * height * scale}px`;
    thumb.style.backgroundSize = `${columns * width * scale}px auto`;
  }

  function showCard(i) {
    const look = document.getElementById("map-look"), facts = document.getElementById("map-facts");
    document.getElementById("map-hint").hidden = true;
    look.hidden = facts.hidden = false;
    look.replaceChildren();
    facts.replaceChildren();
    for (const { name, sprite, texts, cells, more, has } of points.inputs) {
      if (points.inputs.length > 1) element("p", look, "name", has[i] ? name : name + " missing");
      if (!has[i]) continue;
      if (sprite) showThumb(look, sprite, i);
      if (texts) element("p", look, "text", texts[i]);
      if (cells) {
        const body = element("tbody", element("table", look, "cells"));
        for (const [column, cell] of cells[i]) {
          const row = element("tr", body);
          const head = element("th", row);
          head.scope = "row";
          const parts = column.split(JOINTS), own = element("bdi", head);
          parts.forEach((part, k) => own.append(part, ...(k < parts.length - 1 ? [document.createElement("wbr")] : [])));
          element("td", row, "", cell);
        }
        if (more[i]) element("p", look, "quiet", `and ${more[i]} more`);
      }
    }
    for (const { name, values } of [{ name: "id", values: points.ids }, ...points.facts]) {
      element("dt", facts, "", name);
      element("dd", facts, "", values[i]);
    }
  }

  function draw(printed) {
    for (const [place, chart] of plots) drawCurve(place, chart, printed);
    if (map) drawMap(printed);
  }

  draw(false);
  // each sound is in the page once, however often its row is shown
  const sounds = data("sounds-data");
  for (const audio of document.querySelectorAll("audio")) audio.src = sounds[audio.dataset.sound];
  for (const event of map ? ["plotly_hover", "plotly_click"] : []) {
    map.on(event, ({ points: [point] }) => point && point.customdata !== undefined && showCard(point.customdata));
  }
  dark.addEventListener("change", () => draw(false));

  for (const input of document.querySelectorAll(".switch input")) {
    input.addEventListener("change", () => {
      for (const part of document.querySelectorAll(".approach")) part.hidden = part.dataset.approach !== input.value;
    });
  }

  // on paper nothing can be opened; parameters are left out by the style sheet
  let opened = [];
  window.addEventListener("beforeprint", () => {
    opened = [...document.querySelectorAll("details:not([open], .more)")];
    for (const details of opened) details.open = true;
    draw(true);
  });
  window.addEventListener("afterprint", () => {
    for (const details of opened) details.open = false;
    draw(false);
  });

  const links = new Map([...document.querySelectorAll("nav a")].map((a) => [a.hash.slice(1), a]));
  const watcher = new IntersectionObserver((entries) => {
    for (const { target, isIntersecting } of entries) links.get(target.id)?.classList.toggle("here", isIntersecting);
  }, { rootMargin: "-10% 0px -80% 0px" });
  for (const part of document.querySelectorAll("main > [id]")) watcher.observe(part);
})();
