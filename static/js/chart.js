/* Draws every <figure data-chart> from the table inside it, which is the only source of its numbers.

   The table's first column is where a point stands: a <time datetime> for days, any words for names. Each further
   column is a series, named by its heading. A cell's number is its data-value where it has one, else its text.
   A heading may say data-color (1, 2 or 3; else the columns in turn) or data-not-drawn: a column only to be read.
   A table says data-words where its first column's own words say when: weeks and months, not days.

   data-chart     "steps" (a level that holds until the next point), "line", or "bars" (several series are
                  stacked, what is below zero downwards)
   data-unit      said after a number in the read-out, such as "credits"
   data-decimals  how many decimals numbers have; 0 where it is missing

   The drawing goes into [data-chart-plot], the words that describe it come from [data-chart-sentence].
   Colours are the page's tokens, read again when the colour scheme changes. */

"use strict";

(() => {
  const DAY_SECONDS = 24 * 60 * 60;
  const SERIES_COLORS = ["--chart-1", "--chart-2", "--chart-3"];
  const LABEL_FONT = 13;

  const MONTHS = "Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split(" ");
  const MONTHS_FROM_DAYS = 120;

  const dayLong = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "long", year: "numeric", timeZone: "UTC" });

  // --- Reading the table ---------------------------------------------------------------------------

  function numberOf(cell) {
    const text = cell.dataset.value ?? cell.textContent;
    const plain = text.replace(/\u2212/g, "-").replace(/[^0-9.-]/g, "");
    return plain === "" ? null : Number(plain);
  }

  function read(table) {
    const heads = [...table.tHead.rows[0].cells].slice(1).filter((cell) => !("notDrawn" in cell.dataset));
    const names = heads.map((cell) => cell.textContent.trim());
    const rows = [...table.tBodies[0].rows];
    const times = rows.map((row) => row.cells[0].querySelector("time")?.dateTime);
    const areDays = times.every(Boolean);
    return {
      names,
      areDays,
      isDaily: !("words" in table.dataset),
      words: rows.map((row) => row.cells[0].textContent.trim()),
      x: areDays ? times.map((day) => Date.parse(day) / 1000) : rows.map((row, index) => index),
      colors: heads.map((cell, index) => Number(cell.dataset.color ?? index + 1)),
      series: heads.map((cell) => rows.map((row) => numberOf(row.cells[cell.cellIndex]))),
    };
  }

  // Stacked bars are drawn as totals from the highest to the lowest, each over the one before. What is above
  // zero is stacked upwards and what is below it downwards, so that neither hides the other.
  function stacked(series) {
    const up = series[0].map(() => 0);
    const down = series[0].map(() => 0);
    return series.map((values) =>
      values.map((value, at) => {
        if (!value) return null;
        const side = value > 0 ? up : down;
        side[at] += value;
        return side[at];
      }),
    );
  }

  // --- Drawing -------------------------------------------------------------------------------------

  function tokens(figure) {
    const style = getComputedStyle(figure);
    return (name) => style.getPropertyValue(name).trim();
  }

  function axisNumbers(decimals) {
    const format = new Intl.NumberFormat("en", { maximumFractionDigits: decimals });
    return (u, splits) => splits.map((value) => format.format(value).replace("-", "\u2212"));
  }

  function axisDays(u, splits) {
    return splits.map((seconds) => {
      const day = new Date(seconds * 1000);
      return `${day.getUTCDate()} ${MONTHS[day.getUTCMonth()]}`;
    });
  }

  // Many months: their first days, as many as there is room for, the year beneath where it begins.
  function monthSplits(u, axisIndex, low, high) {
    const months = [];
    const first = new Date(low * 1000);
    for (let month = first.getUTCMonth(); ; month++) {
      const at = Date.UTC(first.getUTCFullYear(), month, 1) / 1000;
      if (at > high) break;
      if (at >= low) months.push(at);
    }
    const every = [1, 2, 3, 6, 12].find((step) => (u.bbox.width / devicePixelRatio / months.length) * step >= 48) ?? 12;
    return months.filter((at, index) => index % every === 0);
  }

  function axisMonths(u, splits) {
    return splits.map((seconds, index) => {
      const day = new Date(seconds * 1000);
      const before = index ? new Date(splits[index - 1] * 1000).getUTCFullYear() : null;
      const year = day.getUTCFullYear();
      return year === before ? MONTHS[day.getUTCMonth()] : `${MONTHS[day.getUTCMonth()]}\n${year}`;
    });
  }

  function axisOfPoints(data) {
    if (!data.areDays) return { values: (u, splits) => splits.map((at) => data.words[at] ?? ""), incrs: [1, 2, 5, 10, 20, 50] };
    const days = (data.x[data.x.length - 1] - data.x[0]) / DAY_SECONDS;
    if (days > MONTHS_FROM_DAYS) return { splits: monthSplits, values: axisMonths, size: 48 };
    return { values: axisDays, incrs: [1, 2, 3, 7, 14, 28, 56].map((step) => step * DAY_SECONDS) };
  }

  // Zero is always in sight, and the highest value has air above it.
  function valueRange(u, lowest, highest) {
    const low = Math.min(0, lowest ?? 0);
    const high = Math.max(0, highest ?? 0);
    const air = (high - low || 1) * 0.1;
    return [low < 0 ? low - air : 0, high > 0 || low === 0 ? high + air : 0];
  }

  function drawZero(color) {
    return (u) => {
      const y = Math.round(u.valToPos(0, "y", true)) + 0.5;
      u.ctx.save();
      u.ctx.strokeStyle = color;
      u.ctx.lineWidth = devicePixelRatio;
      u.ctx.beginPath();
      u.ctx.moveTo(u.bbox.left, y);
      u.ctx.lineTo(u.bbox.left + u.bbox.width, y);
      u.ctx.stroke();
      u.ctx.restore();
    };
  }

  // What stands beside a line's last point: its value, and its name where there are several. Bars have a key
  // instead: the last of them may well be nothing, and there would be no place to name it.
  function lastLabels(data, isBars, say) {
    if (isBars) return [];
    const last = data.x.length - 1;
    return data.series.flatMap((values, index) => {
      const value = values[last];
      if (value === null) return [];
      const words = [say(value), data.names.length > 1 ? data.names[index] : ""].filter(Boolean).join(" ");
      return [{ index, at: value, words }];
    });
  }

  function keyOf(data) {
    const key = document.createElement("ul");
    key.className = "chart-key";
    data.names.forEach((name, index) => {
      const line = document.createElement("li");
      line.className = `chart-key-${data.colors[index]}`;
      line.textContent = name;
      key.append(line);
    });
    return key;
  }

  function drawLabels(labels, data, colors, ground) {
    return (u) => {
      const ctx = u.ctx;
      const gap = LABEL_FONT * 1.3 * devicePixelRatio;
      const placed = labels.map((label) => ({ ...label, y: u.valToPos(label.at, "y", true) })).sort((one, other) => one.y - other.y);
      // Labels that would lie on each other are pushed down.
      placed.forEach((label, at) => {
        label.place = at ? Math.max(label.y, placed[at - 1].place + gap) : label.y;
      });
      const x = u.valToPos(data.x[data.x.length - 1], "x", true);
      ctx.save();
      ctx.font = `600 ${LABEL_FONT * devicePixelRatio}px system-ui, sans-serif`;
      ctx.textAlign = "left";
      ctx.textBaseline = "middle";
      for (const label of placed) {
        ctx.fillStyle = colors[label.index];
        ctx.beginPath();
        ctx.arc(x, label.y, 3.5 * devicePixelRatio, 0, 2 * Math.PI);
        ctx.fill();
        ctx.lineWidth = 4 * devicePixelRatio;
        ctx.strokeStyle = ground;
        ctx.strokeText(label.words, x + 9 * devicePixelRatio, label.place);
        ctx.fillText(label.words, x + 9 * devicePixelRatio, label.place);
      }
      ctx.restore();
    };
  }

  function widthOf(texts) {
    const ctx = document.createElement("canvas").getContext("2d");
    ctx.font = `600 ${LABEL_FONT}px system-ui, sans-serif`;
    return Math.max(0, ...texts.map((text) => ctx.measureText(text).width));
  }

  // --- The read-out --------------------------------------------------------------------------------

  function showReadOut(box, data, say, unit) {
    return (u) => {
      const at = u.cursor.idx;
      box.hidden = at === null || at === undefined || u.cursor.left < 0;
      if (box.hidden) return;
      const when = data.areDays && data.isDaily ? dayLong.format(new Date(data.x[at] * 1000)) : data.words[at];
      const lines = data.series.map((values, index) => {
        const line = document.createElement("strong");
        const amount = values[at] === null ? "nothing" : `${say(values[at])} ${unit}`.trim();
        line.textContent = data.names.length > 1 ? `${data.names[index]}: ${amount}` : amount;
        return line;
      });
      box.replaceChildren(when, ...lines);
      const x = u.over.offsetLeft + u.valToPos(data.x[at], "x");
      const flips = x + box.offsetWidth + 12 > u.root.clientWidth;
      box.style.transform = `translate(${Math.max(0, flips ? x - box.offsetWidth - 12 : x + 12)}px, 0)`;
    };
  }

  // --- One chart -----------------------------------------------------------------------------------

  function options(figure, plot, data, box) {
    const kind = figure.dataset.chart;
    const token = tokens(figure);
    const decimals = Number(figure.dataset.decimals ?? 0);
    const format = new Intl.NumberFormat("en", { minimumFractionDigits: decimals, maximumFractionDigits: decimals });
    const say = (value) => format.format(value).replace("-", "\u2212");
    const colors = data.colors.map((number) => token(SERIES_COLORS[(number - 1) % SERIES_COLORS.length]));
    const isBars = kind === "bars";
    const last = data.x.length - 1;
    const labels = lastLabels(data, isBars, say);
    const axis = {
      stroke: token("--muted"),
      font: `${LABEL_FONT}px system-ui, sans-serif`,
      grid: { show: false },
      ticks: { show: false },
    };
    const incrs = [1, 2, 5].flatMap((step) => [...Array(12)].map((_, power) => step * 10 ** (power - decimals)));
    const line = (index) => ({
      stroke: colors[index],
      width: 2,
      fill: kind === "steps" && data.names.length === 1 ? token("--accent-soft") : undefined,
      paths: kind === "steps" ? uPlot.paths.stepped({ align: 1 }) : uPlot.paths.linear(),
      points: { show: data.x.length === 1 },
    });
    const bar = (index) => ({ fill: colors[index], width: 0, paths: uPlot.paths.bars({ size: [0.7, 40] }), points: { show: false } });
    // The highest of stacked bars lies at the back.
    const drawn = isBars ? data.names.map((name, index) => bar(data.names.length - 1 - index)) : data.names.map((name, index) => line(index));
    const barAir = !data.areDays ? 0.5 : last ? (data.x[last] - data.x[0]) / last / 2 : DAY_SECONDS / 2;
    return {
      width: plot.clientWidth,
      height: plot.clientHeight,
      padding: [12, labels.length ? Math.ceil(widthOf(labels.map((label) => label.words))) + 16 : 20, 0, 0],
      legend: { show: false },
      tzDate: (seconds) => uPlot.tzDate(new Date(seconds * 1000), "Etc/UTC"),
      cursor: { y: false, drag: { x: false, y: false }, points: isBars ? { show: false } : { size: 8, width: 0 } },
      scales: {
        x: { time: data.areDays, range: isBars ? (u, low, high) => [low - barAir, high + barAir] : last ? undefined : [data.x[0] - DAY_SECONDS, data.x[0] + DAY_SECONDS] },
        y: { range: valueRange },
      },
      axes: [
        { ...axis, space: 72, size: 32, gap: 8, ...axisOfPoints(data) },
        { ...axis, incrs: incrs.sort((one, other) => one - other), space: 44, size: axisSize, values: axisNumbers(decimals), grid: { show: true, stroke: token("--line"), width: 1 } },
      ],
      series: [{}, ...drawn],
      hooks: {
        drawAxes: [drawZero(token("--control-line"))],
        draw: [drawLabels(labels, data, colors, token("--card"))],
        setCursor: [showReadOut(box, data, say, figure.dataset.unit ?? "")],
      },
    };
  }

  function axisSize(u, values) {
    return values ? Math.ceil(widthOf(values)) + 16 : 48;
  }

  function draw(figure) {
    const table = figure.querySelector("table");
    const plot = figure.querySelector("[data-chart-plot]");
    const details = figure.querySelector("details");
    const data = read(table);
    const box = document.createElement("div");
    box.className = "chart-read-out";
    box.hidden = true;
    plot.setAttribute("role", "img");
    plot.setAttribute("aria-label", figure.querySelector("[data-chart-sentence]")?.textContent.trim() ?? "");

    if (figure.dataset.chart === "bars" && data.names.length > 1) plot.after(keyOf(data));

    const shown = figure.dataset.chart === "bars" ? stacked(data.series).reverse() : data.series;
    let chart = null;
    const redraw = () => {
      chart?.destroy();
      chart = new uPlot(options(figure, plot, data, box), [data.x, ...shown], plot);
      plot.append(box);
    };
    redraw();
    details.open = false;
    details.classList.add("is-ready");

    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);
    new ResizeObserver(() => {
      if (plot.clientWidth && plot.clientWidth !== chart.width) redraw();
    }).observe(plot);
  }

  for (const figure of document.querySelectorAll("figure[data-chart]")) draw(figure);
})();
