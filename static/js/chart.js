/* Draws every <figure data-chart> from the table inside it, which is the only source of its numbers.

   The table's first column is where a point stands: a <time datetime> for days, any words for names. Each further
   column is a series, named by its heading. A cell's number is its data-value where it has one, else its text.
   A heading may say data-color (1, 2 or 3; else the columns in turn), data-not-drawn (a column only to be read) or
   data-before: the figures of the period before, drawn as a dashed line over the others and never stacked, in its
   data-color or else muted.
   A table says data-words where its first column's own words say when: weeks and months, not days.

   data-chart     "steps" (a level that holds until the next point), "line", or "bars" (several series are
                  stacked, what is below zero downwards)
   data-unit      said after a number in the read-out, such as "credits"
   data-decimals  how many decimals numbers have; 0 where it is missing

   A few points that are far higher than all others are cut, so that the others stay readable. The figure of a cut
   point is written at the cut and below the drawing; foundation/charts.py has the rule.

   The drawing goes into [data-chart-plot], the words that describe it come from [data-chart-sentence].
   Colours are the page's tokens, read again when the colour scheme changes. */

"use strict";

(() => {
  const DAY_SECONDS = 24 * 60 * 60;
  const SERIES_COLORS = ["--chart-1", "--chart-2", "--chart-3"];
  const LABEL_FONT = 13;
  const CUT_MAX = 3;
  const CUT_SHARE = 5;
  const CUT_FROM = 5;

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
    const drawn = [...table.tHead.rows[0].cells].slice(1).filter((cell) => !("notDrawn" in cell.dataset));
    const heads = drawn.filter((cell) => !("before" in cell.dataset));
    const before = drawn.filter((cell) => "before" in cell.dataset);
    const names = heads.map((cell) => cell.textContent.trim());
    const rows = [...table.tBodies[0].rows];
    const times = rows.map((row) => row.cells[0].querySelector("time")?.dateTime);
    const areDays = times.every(Boolean);
    const valuesOf = (cell) => rows.map((row) => numberOf(row.cells[cell.cellIndex]));
    return {
      names,
      areDays,
      isDaily: !("words" in table.dataset),
      words: rows.map((row) => row.cells[0].textContent.trim()),
      x: areDays ? times.map((day) => Date.parse(day) / 1000) : rows.map((row, index) => index),
      colors: heads.map((cell, index) => Number(cell.dataset.color ?? index + 1)),
      series: heads.map(valuesOf),
      before: before.map((cell) => ({ name: cell.textContent.trim(), color: Number(cell.dataset.color ?? 0), values: valuesOf(cell) })),
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

  // --- What is cut ---------------------------------------------------------------------------------

  // Everything that is drawn, as { at, value, before }: the two ends of each stack of bars, or each point.
  function heightsOf(data, isBars) {
    const each = (values, before = "") => values.map((value, at) => ({ at, value: value ?? 0, before }));
    const sum = (sign) => data.x.map((x, at) => data.series.reduce((total, values) => total + (values[at] * sign > 0 ? values[at] : 0), 0));
    const lines = isBars ? [sum(1), sum(-1)] : data.series;
    return [...lines.flatMap((values) => each(values)), ...data.before.flatMap(({ name, values }) => each(values, name))];
  }

  // The last point of a line is never cut: it is what holds now.
  function cutOf(data, isBars) {
    const heights = heightsOf(data, isBars);
    const sizes = heights.map((height) => Math.abs(height.value)).filter(Boolean).sort((one, other) => other - one);
    let count = Math.min(CUT_MAX, Math.floor(sizes.length / CUT_SHARE));
    while (count && sizes[count - 1] < CUT_FROM * sizes[count]) count--;
    const end = count ? sizes[count] : Infinity;
    const points = heights.filter((height) => Math.abs(height.value) > end);
    const cutsLast = !isBars && points.some((point) => point.at === data.x.length - 1 && !point.before);
    return cutsLast ? { end: Infinity, points: [] } : { end, points };
  }

  function whenOf(data, at) {
    return data.areDays && data.isDaily ? dayLong.format(new Date(data.x[at] * 1000)) : data.words[at];
  }

  function cutWords(data, cut, say) {
    const words = cut.points.map((point) => {
      const when = point.before ? `${whenOf(data, point.at)}, ${point.before}` : whenOf(data, point.at);
      return `${say(point.value)} (${when})`;
    });
    return `Beyond the axis: ${words.join("; ")}.`;
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

  // Zero is always in sight, and the highest value has air above it. What is cut reaches the edge.
  function valueRange(end) {
    return (u, lowest, highest) => {
      const low = Math.max(-end, Math.min(0, lowest ?? 0));
      const high = Math.min(end, Math.max(0, highest ?? 0));
      const air = (high - low || 1) * (end < Infinity ? 0.2 : 0.1);
      return [low < 0 ? low - air : 0, high > 0 || low === 0 ? high + air : 0];
    };
  }

  // Two slanted strips across each cut bar or line near the edge, and its figure beyond the edge.
  function drawCuts(cut, data, say, ink, muted, ground) {
    return (u) => {
      const ctx = u.ctx;
      const pixel = devicePixelRatio;
      const half = Math.min(20, ((u.bbox.width / pixel / data.x.length) * 0.7) / 2 + 3) * pixel;
      const written = { 1: -Infinity, "-1": -Infinity };
      ctx.save();
      ctx.font = `600 ${LABEL_FONT * pixel}px system-ui, sans-serif`;
      ctx.textAlign = "center";
      ctx.textBaseline = "middle";
      for (const point of [...cut.points].sort((one, other) => one.at - other.at)) {
        const side = Math.sign(point.value);
        const edge = side > 0 ? u.bbox.top : u.bbox.top + u.bbox.height;
        const x = u.valToPos(data.x[point.at], "x", true);
        ctx.strokeStyle = ground;
        ctx.lineWidth = 3 * pixel;
        for (const away of [12, 18]) {
          const y = edge + side * away * pixel;
          ctx.beginPath();
          ctx.moveTo(x - half, y + 3 * pixel);
          ctx.lineTo(x + half, y - 3 * pixel);
          ctx.stroke();
        }
        const words = say(point.value);
        const width = ctx.measureText(words).width;
        const place = Math.min(Math.max(x, width / 2), ctx.canvas.width - width / 2);
        // Below the chart stand all figures, so one without room is left out here.
        if (place - width / 2 < written[side] + 6 * pixel) continue;
        written[side] = place + width / 2;
        ctx.fillStyle = point.before ? muted : ink;
        ctx.fillText(words, place, edge - side * 9 * pixel);
      }
      ctx.restore();
    };
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
    const add = (name, ...kinds) => {
      const line = document.createElement("li");
      line.className = kinds.map((kind) => `chart-key-${kind}`).join(" ");
      line.textContent = name;
      key.append(line);
    };
    data.names.forEach((name, index) => add(name, data.colors[index]));
    data.before.forEach(({ name, color }) => add(name, "before", color));
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
      const amountOf = (values) => (values[at] === null ? "nothing" : `${say(values[at])} ${unit}`.trim());
      const lines = data.series.map((values, index) => {
        const line = document.createElement("strong");
        line.textContent = data.names.length > 1 ? `${data.names[index]}: ${amountOf(values)}` : amountOf(values);
        return line;
      });
      const before = data.before.map(({ name, values }) => {
        const line = document.createElement("span");
        line.textContent = `${name}: ${amountOf(values)}`;
        return line;
      });
      box.replaceChildren(whenOf(data, at), ...lines, ...before);
      const x = u.over.offsetLeft + u.valToPos(data.x[at], "x");
      const flips = x + box.offsetWidth + 12 > u.root.clientWidth;
      box.style.transform = `translate(${Math.max(0, flips ? x - box.offsetWidth - 12 : x + 12)}px, 0)`;
    };
  }

  // --- One chart -----------------------------------------------------------------------------------

  function options(figure, plot, data, box, cut, say) {
    const kind = figure.dataset.chart;
    const token = tokens(figure);
    const decimals = Number(figure.dataset.decimals ?? 0);
    const colorOf = (number) => token(SERIES_COLORS[(number - 1) % SERIES_COLORS.length]);
    const colors = data.colors.map(colorOf);
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
    const paths = kind === "steps" ? uPlot.paths.stepped({ align: 1 }) : uPlot.paths.linear();
    const line = (index) => ({
      stroke: colors[index],
      width: 2,
      fill: kind === "steps" && data.names.length === 1 ? token("--accent-soft") : undefined,
      paths,
      points: { show: data.x.length === 1 },
    });
    const bar = (index) => ({ fill: colors[index], width: 0, paths: uPlot.paths.bars({ size: [0.7, 40] }), points: { show: false } });
    // The highest of stacked bars lies at the back.
    const drawn = isBars ? data.names.map((name, index) => bar(data.names.length - 1 - index)) : data.names.map((name, index) => line(index));
    const dashed = { paths, dash: [5, 4], points: { show: data.x.length === 1 } };
    for (const { color } of data.before) {
      // Over bars, a dash has an edge in the colour of the ground, because a bar may have its colour.
      if (isBars) drawn.push({ ...dashed, stroke: token("--card"), width: 4 });
      drawn.push({ ...dashed, stroke: color ? colorOf(color) : token("--muted"), width: 1.5 });
    }
    const cutsSide = (side) => cut.points.some((point) => Math.sign(point.value) === side);
    const days = axisOfPoints(data);
    const below = cutsSide(-1) ? LABEL_FONT + 4 : 0;
    const barAir = !data.areDays ? 0.5 : last ? (data.x[last] - data.x[0]) / last / 2 : DAY_SECONDS / 2;
    return {
      width: plot.clientWidth,
      height: plot.clientHeight,
      padding: [cutsSide(1) ? 20 : 12, labels.length ? Math.ceil(widthOf(labels.map((label) => label.words))) + 16 : 20, 0, 0],
      legend: { show: false },
      tzDate: (seconds) => uPlot.tzDate(new Date(seconds * 1000), "Etc/UTC"),
      cursor: { y: false, drag: { x: false, y: false }, points: isBars ? { show: false } : { size: 8, width: 0 } },
      scales: {
        x: { time: data.areDays, range: isBars ? (u, low, high) => [low - barAir, high + barAir] : last ? undefined : [data.x[0] - DAY_SECONDS, data.x[0] + DAY_SECONDS] },
        y: { range: valueRange(cut.end) },
      },
      axes: [
        { ...axis, space: 72, gap: 8 + below, ...days, size: (days.size ?? 32) + below },
        { ...axis, incrs: incrs.sort((one, other) => one - other), space: 44, size: axisSize, values: axisNumbers(decimals), grid: { show: true, stroke: token("--line"), width: 1 } },
      ],
      series: [{}, ...drawn],
      hooks: {
        drawAxes: [drawZero(token("--control-line"))],
        draw: [drawLabels(labels, data, colors, token("--card")), drawCuts(cut, data, say, token("--ink"), token("--muted"), token("--card"))],
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
    const isBars = figure.dataset.chart === "bars";
    const decimals = Number(figure.dataset.decimals ?? 0);
    const format = new Intl.NumberFormat("en", { minimumFractionDigits: decimals, maximumFractionDigits: decimals });
    const say = (value) => format.format(value).replace("-", "\u2212");
    const cut = cutOf(data, isBars);
    const box = document.createElement("div");
    box.className = "chart-read-out";
    box.hidden = true;
    plot.setAttribute("role", "img");
    plot.setAttribute("aria-label", figure.querySelector("[data-chart-sentence]")?.textContent.trim() ?? "");

    if (cut.points.length) {
      const note = document.createElement("p");
      note.className = "chart-cut";
      note.textContent = cutWords(data, cut, say);
      plot.after(note);
    }
    if ((isBars && data.names.length > 1) || data.before.length) plot.after(keyOf(data));

    const shown = isBars ? stacked(data.series).reverse() : [...data.series];
    // A dashed line along zero would only cut the feet of the bars.
    const withoutZeros = (values) => values.map((value, at) => (value || values[at - 1] || values[at + 1] ? value : null));
    shown.push(...data.before.flatMap(({ values }) => (isBars ? Array(2).fill(withoutZeros(values)) : [values])));
    let chart = null;
    const redraw = () => {
      chart?.destroy();
      chart = new uPlot(options(figure, plot, data, box, cut, say), [data.x, ...shown], plot);
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
