"use strict";
(() => {
  const data = (id) => JSON.parse(document.getElementById(id).textContent);
  const curves = data("curves-data"), points = data("map-data");
  // mid-tone colours that stay apart for the colour-blind and on both grounds (after Okabe and Ito 2008)
  const COLOURS = ["#3a8fd0", "#e0912f", "#1aa179", "#cc79a7", "#d0611c", "#8a78d6", "#a59a1c", "#7f8a96", "#3fb9c9", "#8f5a42"];
  const SYMBOLS = ["circle", "diamond", "square", "triangle-up", "triangle-down", "pentagon", "star", "hexagon"];
  const MOST_NAMES = 30;
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

  function drawCurve(name, values, percent, printed) {
    const { layout, axis } = base(printed, PRINTED / 2, 230);
    const line = (part, color, dash) => ({
      type: "scatter", mode: "lines+markers", name: part, x: curves.epochs, y: values[part],
      line: { color, dash, width: 2 }, marker: { size: 5 },
    });
    const traces = [line("train", COLOURS[0], "dot"), line("val", COLOURS[4], "solid")].filter((t) => t.y.length);
    Plotly.react(name, traces, {
      ...layout, hovermode: "x unified", legend: { orientation: "h", x: 1, xanchor: "right", y: 1.02, yanchor: "bottom" },
      showlegend: true, margin: { ...layout.margin, t: 28 },
      xaxis: { ...axis, title: { text: "epoch" }, tickformat: "d", tick0: 1, dtick: Math.ceil(curves.epochs.length / 8) },
      yaxis: { ...axis, tickformat: percent ? ".0%" : ".2~f", hoverformat: percent ? ".1%" : ".3f" },
    }, { ...CONFIG, displayModeBar: false });
  }

  function drawMap(printed) {
    const { layout, ink } = base(printed, PRINTED, 440);
    const where = (keep) => points.ids.map((_, i) => i).filter(keep);
    const pick = (list, rows) => rows.map((i) => list[i]);
    const few = points.labels.length <= MOST_NAMES;
    const traces = points.labels.map((label, k) => {
      const rows = where((i) => points.truth[i] === k);
      return {
        type: "scatter", mode: "markers", name: plain(label), hoverinfo: "none", customdata: rows,
        x: pick(points.x, rows), y: pick(points.y, rows),
        marker: {
          size: narrow.matches ? 6 : 7, opacity: 0.85, color: COLOURS[k % COLOURS.length],
          symbol: SYMBOLS[Math.floor(k / COLOURS.length) % SYMBOLS.length], line: { width: 0 },
        },
      };
    }).filter((trace) => trace.x.length);
    const wrong = where((i) => points.truth[i] !== points.predicted[i]);
    traces.push({
      type: "scatter", mode: "markers", name: "wrong", hoverinfo: "skip", x: pick(points.x, wrong), y: pick(points.y, wrong),
      marker: { size: narrow.matches ? 9 : 11, symbol: "circle-open", color: ink, line: { width: narrow.matches ? 1 : 1.5 } },
    });
    const bare = { visible: false, automargin: false };
    Plotly.react("atlas", traces, {
      ...layout, margin: { l: 0, r: 0, t: 32, b: 0 }, hovermode: "closest", hoverdistance: 14, showlegend: few,
      legend: { orientation: "h", x: 0, y: -0.02, yanchor: "top" }, xaxis: bare, yaxis: { ...bare, scaleanchor: "x" },
    }, CONFIG);
  }

  function showCard(i) {
    const card = document.getElementById("card"), thumb = document.getElementById("thumb");
    const say = (part, text) => { document.getElementById("card-" + part).textContent = text; };
    document.getElementById("hint").hidden = true;
    card.querySelector("dl").hidden = false;
    say("id", points.ids[i]);
    say("truth", points.labels[points.truth[i]]);
    say("predicted", points.labels[points.predicted[i]]);
    say("probability", (points.probability[i] * 100).toFixed(1) + "\u00a0%");
    if (!points.sprite) return;
    const { side, columns } = points.sprite, scale = thumb.clientWidth / side;
    thumb.style.backgroundPosition = `${-(i % columns) * side * scale}px ${-Math.floor(i / columns) * side * scale}px`;
    thumb.style.backgroundSize = `${columns * side * scale}px auto`;
  }

  function draw(printed) {
    drawCurve("loss", curves.loss, false, printed);
    drawCurve("accuracy", curves.accuracy, true, printed);
    drawMap(printed);
  }

  draw(false);
  const atlas = document.getElementById("atlas");
  for (const event of ["plotly_hover", "plotly_click"]) {
    atlas.on(event, ({ points: [point] }) => point && point.customdata !== undefined && showCard(point.customdata));
  }
  const thumb = document.getElementById("thumb");
  if (points.sprite) {
    thumb.style.backgroundImage = `url(${points.sprite.uri})`;
    thumb.style.backgroundSize = "0 0"; // nothing until a row is chosen
    thumb.classList.toggle("coarse", points.sprite.coarse);
  } else thumb.hidden = true;
  dark.addEventListener("change", () => draw(false));

  for (const input of document.querySelectorAll(".switch input")) {
    input.addEventListener("change", () => {
      for (const way of document.querySelectorAll(".way")) way.hidden = way.dataset.way !== input.value;
    });
  }

  // on paper nothing can be opened; parameters are left out by the style sheet
  let opened = [];
  window.addEventListener("beforeprint", () => {
    opened = [...document.querySelectorAll("details:not([open])")];
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
