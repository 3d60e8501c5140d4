// Plots on a canvas: profiles, corner plot, image. A page may set `drawing.colours`.
"use strict";

const drawing = (() => {
  const BINS = 40, GAP = 10;
  const colours = {
    ink: "#333", frame: "#bbb", measured: "#d95f02", predicted: "#2166ac", live: "#00795e",
  };

  // A canvas as wide as its place, drawn in CSS pixels.
  function brush(canvas, height, least = 0) {
    const ratio = window.devicePixelRatio || 1;
    const width = Math.max(canvas.parentElement.clientWidth || 900, least);
    Object.assign(canvas, { width: width * ratio, height: height * ratio });
    Object.assign(canvas.style, { width: `${width}px`, height: `${height}px` });
    const pen = canvas.getContext("2d");
    pen.scale(ratio, ratio);
    pen.clearRect(0, 0, width, height);
    pen.font = "11px system-ui, sans-serif";
    return { pen, width };
  }

  // Round numbers between two ends.
  function ticks(low, high, most) {
    const raw = (high - low) / most, power = 10 ** Math.floor(Math.log10(raw));
    const step = [1, 2, 5, 10].map((m) => m * power).find((s) => s >= raw);
    const found = [];
    for (let k = Math.ceil(low / step - 1e-9); k * step <= high + 1e-9 * step; k++)
      found.push(Number((k * step).toPrecision(6)));
    return found;
  }

  // Panels, two side by side where there is room: {edges (mm), title, points, lines, band}; one
  // without bins is of a profile that is not read.
  function profiles(canvas, every, height = 200) {
    const narrow = (canvas.parentElement.clientWidth || 900) < 560;
    const panels = every.filter(({ edges }) => edges.length > 1);
    const columns = narrow ? 1 : Math.min(2, panels.length), rows = Math.ceil(panels.length / columns);
    const { pen, width } = brush(canvas, height * rows);
    panels.forEach((panel, k) => {
      const left = (width / columns) * (k % columns), top = height * Math.floor(k / columns);
      profile(pen, panel, { left: left + 46, top: top + 10, width: width / columns - 58, height: height - 48 });
    });
  }

  function profile(pen, panel, box) {
    const { edges } = panel, rows = [panel.points, ...panel.lines.map((l) => l.values), panel.band?.high];
    const most = Math.max(1e-9, ...rows.filter(Boolean).flat()) * 1.04;
    const first = edges[0], last = edges.at(-1);
    const x = (mm) => box.left + (box.width * (mm - first)) / (last - first);
    const y = (n) => box.top + box.height * (1 - Math.max(n, 0) / most);
    const centre = (i) => x((edges[i] + edges[i + 1]) / 2);
    framed(pen, panel, box, x, y, most);
    if (panel.band) {
      pen.fillStyle = colours.predicted;
      pen.globalAlpha = 0.2;
      pen.beginPath();
      panel.band.low.forEach((n, i) => pen.lineTo(centre(i), y(n)));
      for (let i = panel.band.high.length - 1; i >= 0; i--) pen.lineTo(centre(i), y(panel.band.high[i]));
      pen.fill();
      pen.globalAlpha = 1;
    }
    for (const line of panel.lines) {
      pen.strokeStyle = line.colour;
      pen.lineWidth = line.width ?? 1.2;
      pen.beginPath();
      line.values.forEach((n, i) => pen.lineTo(centre(i), y(n)));
      pen.stroke();
    }
    pen.lineWidth = 1;
    pen.fillStyle = colours.measured;
    (panel.points ?? []).forEach((n, i) => {
      if (n === null) return; // nothing is known there
      pen.beginPath();
      pen.arc(centre(i), y(n), 1.7, 0, 7);
      pen.fill();
    });
  }

  function framed(pen, panel, box, x, y, most) {
    const bottom = box.top + box.height;
    pen.strokeStyle = colours.frame;
    pen.fillStyle = colours.ink;
    pen.beginPath();
    pen.moveTo(box.left, box.top);
    pen.lineTo(box.left, bottom);
    pen.lineTo(box.left + box.width, bottom);
    pen.stroke();
    pen.textAlign = "right";
    for (const n of ticks(0, most, 4)) pen.fillText(n < 1e5 ? n : n.toExponential(1), box.left - 5, y(n) + 4);
    pen.textAlign = "center";
    const um = panel.edges.map((mm) => 1e3 * mm);
    for (const at of ticks(um[0], um.at(-1), box.width / 60)) {
      pen.fillText(at, x(at / 1e3), bottom + 14);
      pen.fillRect(x(at / 1e3), bottom, 1, 3);
    }
    pen.fillText(`${panel.title} position [µm]`, box.left + box.width / 2, bottom + 31);
  }

  // axes: {name, unit, low, high}; draws [n][d]. Returns a function that draws marks over them,
  // {theta, colour, dash}, in place of those before: quick, whatever the number of draws.
  function corner(canvas, axes, draws, least = 0) {
    const d = axes.length, margin = 70;
    const wide = Math.max(canvas.parentElement.clientWidth || 900, least);
    const height = Math.min(wide, 150 * d + margin);
    const { pen, width } = brush(canvas, height, least), cell = (height - margin) / d, side = cell - GAP;
    const at = (axis, v) => (side * (v - axis.low)) / (axis.high - axis.low);
    for (let i = 0; i < d; i++) for (let j = 0; j <= i; j++) {
      const left = margin + j * cell, top = i * cell + 4;
      pen.strokeStyle = colours.frame;
      pen.strokeRect(left, top, side, side);
      pen.fillStyle = colours.predicted;
      if (i === j) bars(pen, draws.map((t) => at(axes[j], t[j])), left, top, side);
      else cloud(pen, draws, (t) => [left + at(axes[j], t[j]), top + side - at(axes[i], t[i])]);
    }
    labelled(pen, axes, cell, margin, { width, height });
    const bare = Object.assign(document.createElement("canvas"), { width: canvas.width, height: canvas.height });
    bare.getContext("2d").drawImage(canvas, 0, 0);
    return (marks) => {
      pen.clearRect(0, 0, width, height);
      pen.drawImage(bare, 0, 0, width, height);
      for (const mark of marks) for (let i = 0; i < d; i++) for (let j = 0; j <= i; j++) {
        const left = margin + j * cell, top = i * cell + 4;
        const u = left + at(axes[j], mark.theta[j]), v = top + side - at(axes[i], mark.theta[i]);
        crossed(pen, mark, u, i === j ? null : v, { left, top, side });
      }
    };
  }

  function cloud(pen, draws, place) {
    pen.globalAlpha = Math.min(1, 1200 / draws.length);
    for (const t of draws) {
      const [u, v] = place(t);
      pen.fillRect(u, v, 1.3, 1.3);
    }
    pen.globalAlpha = 1;
  }

  function crossed(pen, mark, u, v, { left, top, side }) {
    pen.strokeStyle = mark.colour;
    pen.setLineDash(mark.dash ?? []);
    pen.beginPath();
    pen.moveTo(u, top);
    pen.lineTo(u, top + side);
    if (v !== null) {
      pen.moveTo(left, v);
      pen.lineTo(left + side, v);
    }
    pen.stroke();
    pen.setLineDash([]);
  }

  function bars(pen, places, left, top, side) {
    const counts = new Array(BINS).fill(0);
    for (const place of places) counts[Math.min(BINS - 1, Math.max(0, Math.floor((BINS * place) / side)))]++;
    const most = Math.max(...counts);
    pen.globalAlpha = 0.75;
    counts.forEach((n, k) => {
      const tall = ((side - 6) * n) / most;
      pen.fillRect(left + (side * k) / BINS, top + side - tall, side / BINS, tall);
    });
    pen.globalAlpha = 1;
  }

  function labelled(pen, axes, cell, margin, { width, height }) {
    pen.fillStyle = colours.ink;
    axes.forEach((axis, j) => {
      const label = axis.unit ? `${axis.name} [${axis.unit}]` : axis.name;
      const ends = [axis.low, axis.high].map((v) => Number(v.toPrecision(4)));
      pen.textAlign = "left";
      pen.fillText(ends[0], margin + j * cell, height - margin + 14);
      pen.textAlign = "right";
      pen.fillText(ends[1], margin + (j + 1) * cell - GAP, height - margin + 14);
      pen.textAlign = "center";
      const half = Math.min(pen.measureText(label).width, cell * 1.8) / 2;
      const middle = Math.min(margin + (j + 0.5) * cell - 5, width - half - 2);
      pen.fillText(label, middle, height - margin + 30 + 14 * (j % 2), cell * 1.8);
      pen.save();
      pen.translate(margin - 12 - 14 * (j % 2), Math.max((j + 0.5) * cell, half + 2));
      pen.rotate(-Math.PI / 2);
      pen.fillText(label, 0, 0, cell * 1.8);
      pen.restore();
    });
  }

  // Five colours of viridis, straight lines between.
  const VIRIDIS = [[68, 1, 84], [59, 82, 139], [33, 145, 140], [94, 201, 98], [253, 231, 37]];

  function viridis(share) {
    const place = Math.min(Math.max(share, 0), 1) * (VIRIDIS.length - 1);
    const i = Math.min(Math.floor(place), VIRIDIS.length - 2);
    return VIRIDIS[i].map((a, k) => a + (VIRIDIS[i + 1][k] - a) * (place - i));
  }

  // Images side by side, on one scale: {rows (from below), title}; edges in mm.
  function images(canvas, panels, edges, height = 260) {
    const { pen, width } = brush(canvas, height);
    const most = Math.max(...panels.flatMap((panel) => panel.rows.flat()));
    panels.forEach((panel, k) => {
      const box = { left: (width / panels.length) * k + 46, top: 22, width: width / panels.length - 58, height: height - 62 };
      const picture = pixels(panel.rows, most);
      pen.imageSmoothingEnabled = false;
      pen.drawImage(picture, box.left, box.top, box.width, box.height);
      pen.fillStyle = colours.ink;
      pen.textAlign = "center";
      pen.fillText(panel.title, box.left + box.width / 2, 13);
      scaled(pen, edges, box);
    });
  }

  function pixels(rows, most) {
    const picture = document.createElement("canvas"), pen = picture.getContext("2d");
    Object.assign(picture, { width: rows[0].length, height: rows.length });
    const data = pen.createImageData(picture.width, picture.height);
    rows.forEach((row, i) => row.forEach((n, j) => {
      data.data.set(n === null ? [0, 0, 0, 0] : [...viridis(n / most), 255], 4 * ((rows.length - 1 - i) * row.length + j));
    }));
    pen.putImageData(data, 0, 0);
    return picture;
  }

  function scaled(pen, edges, box) {
    const [x, y] = edges.map((edge) => [1e3 * edge[0], 1e3 * edge.at(-1)]);
    const bottom = box.top + box.height;
    for (const at of ticks(...x, box.width / 60))
      pen.fillText(at, box.left + (box.width * (at - x[0])) / (x[1] - x[0]), bottom + 14);
    pen.fillText("horizontal position [µm]", box.left + box.width / 2, bottom + 31);
    pen.save();
    pen.translate(box.left - 36, box.top + box.height / 2);
    pen.rotate(-Math.PI / 2);
    pen.fillText("vertical position [µm]", 0, 0);
    pen.restore();
    pen.textAlign = "right";
    for (const at of ticks(...y, 4))
      pen.fillText(at, box.left - 5, bottom - (box.height * (at - y[0])) / (y[1] - y[0]) + 4);
  }

  return { colours, profiles, corner, images };
})();
