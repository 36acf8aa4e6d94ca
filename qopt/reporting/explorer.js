// Sliders along exact curves. Each div.explorer holds its data; nothing is loaded, and nothing here estimates:
// between two break-even values one plan is best, and its objective is a + b x, x the value or its inverse.
"use strict";
(function () {
  const STEPS = 1000, WIDEST = 860, NARROWEST = 320, HEIGHT = 230, LEFT = 62, RIGHT = 14, TOP = 14, BOTTOM = 34, SAMPLES = 40, LABEL = 0.07;
  const PREFIXES = [[1e9, "G"], [1e6, "M"], [1e3, "k"], [1, ""], [1e-3, "m"], [1e-6, "µ"], [1e-9, "n"]];

  function number(x, digits) {
    if (!isFinite(x)) return "∞";
    const text = Number(x.toPrecision(digits));
    return Math.abs(text) >= 1e7 || (text !== 0 && Math.abs(text) < 1e-4) ? text.toExponential() : String(text);
  }

  function quantity(d, x) {
    if (!d.prefixed || x === 0 || (d.whole && Math.abs(x) < 1)) return (number(x, 6) + " " + d.unit).trim();
    for (const [factor, prefix] of PREFIXES) if (Math.abs(x) >= factor) return number(x / factor, 5) + " " + prefix + d.unit;
    return number(x, 4) + " " + d.unit;
  }

  // The piece that holds a value, as Envelope.at of qopt.core.envelope: a limit holds from its start on, with the slack
  // that limits have; otherwise the piece below counts where two meet.
  function pieceAt(d, x) {
    const last = d.starts.length - 1;
    if (d.points) {  // single values: the nearest
      let near = 0;
      for (let k = 1; k <= last; k++) if (Math.abs(d.starts[k] - x) < Math.abs(d.starts[near] - x)) near = k;
      return near;
    }
    if (d.limit) {
      const allowed = x * (x >= 0 ? 1 + d.slack : 1 - d.slack);
      let k = last;
      while (k > 0 && d.starts[k] > allowed) k--;
      return k;
    }
    let k = 0;
    while (k < last && d.stops[k] < x) k++;
    return k;
  }

  function objectiveOf(d, k, x) {
    const line = d.lines[k];
    if (line === null) return null;
    return line[1] === 0 ? line[0] : line[0] + line[1] * (d.inverse ? 1 / x : x);
  }

  function valueOf(d, t) {
    const share = t / STEPS;
    if (t <= 0) return d.low;
    if (t >= STEPS) return d.high;
    return d.log ? d.low * Math.pow(d.high / d.low, share) : d.low + share * (d.high - d.low);
  }

  function shareOf(d, x) {
    const share = d.log ? Math.log(x / d.low) / Math.log(d.high / d.low) : (x - d.low) / (d.high - d.low);
    return Math.min(1, Math.max(0, share));
  }

  function element(tag, attributes, parent, text) {
    const node = document.createElement(tag);
    for (const name in attributes) node.setAttribute(name, attributes[name]);
    if (text !== undefined) node.textContent = text;
    if (parent) parent.appendChild(node);
    return node;
  }

  function drawn(tag, attributes, parent, text) {
    const node = document.createElementNS("http://www.w3.org/2000/svg", tag);
    for (const name in attributes) node.setAttribute(name, attributes[name]);
    if (text !== undefined) node.textContent = text;
    if (parent) parent.appendChild(node);
    return node;
  }

  // The curve once: pieces, break-even values as ticks, the instance's own value; the point moves.
  function chart(d, parent) {
    const WIDTH = Math.max(NARROWEST, Math.min(WIDEST, parent.clientWidth || WIDEST));  // so letters keep their size
    const xs = (x) => LEFT + shareOf(d, x) * (WIDTH - LEFT - RIGHT);
    const pieces = [];
    let least = Infinity, most = -Infinity;
    d.starts.forEach(function (start, k) {
      const from = Math.max(start, d.low), to = Math.min(d.stops[k] === null ? Infinity : d.stops[k], d.high);
      if (!(from <= to)) return;
      const points = [], count = d.lines[k] !== null && d.lines[k][1] !== 0 ? SAMPLES : 1;
      for (let i = 0; i <= count; i++) {
        const share = i / count;
        const x = i === 0 ? from : i === count ? to : d.log ? from * Math.pow(to / from, share) : from + share * (to - from);
        const y = objectiveOf(d, k, x);
        points.push([x, y]);
        if (y !== null && isFinite(y)) { least = Math.min(least, y); most = Math.max(most, y); }
      }
      pieces.push([k, points]);
    });
    const logarithmic = least > 0 && most / least >= 20;
    if (most === least) { const pad = Math.abs(most) * 0.1 || 1; least -= pad; most += pad; }
    const ys = function (y) {
      const share = logarithmic ? Math.log(y / least) / Math.log(most / least) : (y - least) / (most - least);
      return HEIGHT - BOTTOM - 6 - share * (HEIGHT - TOP - BOTTOM - 12);
    };
    const svg = drawn("svg", { class: "chart", viewBox: "0 0 " + WIDTH + " " + HEIGHT, role: "img" }, parent);
    drawn("title", {}, svg, "Least " + d.objective + " by " + d.title);
    const floor = HEIGHT - BOTTOM;
    let path = "", before = null;
    for (const [k, points] of pieces) {
      if (d.points) {
        for (const [x, y] of points.slice(0, 1))
          if (y !== null) drawn("circle", { class: "solved", r: 4, cx: xs(x).toFixed(2), cy: ys(y).toFixed(2) }, svg);
        continue;
      }
      if (d.lines[k] === null) {
        const x = xs(points[0][0]), wide = xs(points[points.length - 1][0]) - x;
        drawn("rect", { class: "none", x: x, y: TOP, width: wide, height: floor - TOP }, svg);
        if (wide > 60) drawn("text", { x: x + wide / 2, y: (TOP + floor) / 2, "text-anchor": "middle" }, svg, "no plan");
        before = null;
        continue;
      }
      for (const [x, y] of points) {
        if (!isFinite(y)) continue;
        path += (before === null ? "M" : "L") + xs(x).toFixed(2) + " " + ys(y).toFixed(2);
        before = y;
      }
    }
    d.starts.forEach(function (start, k) {
      if (!d.points && k > 0 && start > d.low && start < d.high)
        drawn("line", { class: "tick", x1: xs(start), x2: xs(start), y1: d.starts.length > 40 ? floor - 8 : TOP, y2: floor + 5 }, svg);
    });
    if (d.now !== null && d.now >= d.low && d.now <= d.high)
      drawn("line", { class: "now", x1: xs(d.now), x2: xs(d.now), y1: TOP, y2: floor }, svg);
    drawn("path", { class: "axis", d: "M" + LEFT + " " + TOP + "V" + floor + "H" + (WIDTH - RIGHT) }, svg);
    drawn("path", { class: "curve", d: path }, svg);
    drawn("text", { x: LEFT, y: HEIGHT - 10, "text-anchor": "start" }, svg, quantity(d, d.low));
    drawn("text", { x: WIDTH - RIGHT, y: HEIGHT - 10, "text-anchor": "end" }, svg, quantity(d, d.high));
    drawn("text", { x: LEFT - 6, y: ys(most) + 5, "text-anchor": "end" }, svg, number(most, 3));
    drawn("text", { x: LEFT - 6, y: ys(least) + 5, "text-anchor": "end" }, svg, number(least, 3));
    const point = drawn("circle", { class: "point", r: 7 }, svg);
    return function (x, y) {
      point.setAttribute("visibility", y === null || !isFinite(y) ? "hidden" : "visible");
      if (y === null || !isFinite(y)) return;
      point.setAttribute("cx", xs(x).toFixed(2));
      point.setAttribute("cy", ys(y).toFixed(2));
    };
  }

  // A plan as coloured runs; colours go by group, so a group keeps its colour as the slider moves.
  function strips(d, plan, parent) {
    parent.textContent = "";
    if (plan === null) return;
    for (const [name, runs] of plan.rows) {
      const total = runs.reduce((sum, run) => sum + run[1], 0);
      if (!total) continue;
      element("div", { class: "strip-name" }, parent, name);
      const said = runs.slice(0, 12).map((run) => run[1] + " × " + d.groups[run[0]]).join(", ");
      const strip = element("div", { class: "strip", role: "img", "aria-label": name + ": " + said + (runs.length > 12 ? ", …" : "") }, parent);
      for (const [group, count] of runs) {
        const label = (count > 1 && d.groups[group] !== "–" ? count + " × " : "") + d.groups[group];
        const cell = element("span", { class: d.groups[group] === "–" ? "nothing" : "g" + (group % 8), style: "flex-grow:" + count, title: label }, strip);
        if (count / total >= LABEL) cell.textContent = label;
      }
    }
  }

  function explorer(box) {
    const d = JSON.parse(box.querySelector("script").textContent);
    const rows = box.querySelectorAll("tbody tr");
    const listed = rows.length === d.starts.length;
    const place = element("div", {});
    box.insertBefore(place, box.querySelector(".box"));
    const controls = element("div", { class: "controls" }, place);
    const stop = d.points ? "solved value of " : "break-even value of ";
    const back = element("button", { type: "button", "aria-label": "Previous " + stop + d.title }, controls, "◀");
    const slider = element("input", { type: "range", min: 0, max: STEPS, step: 1, "aria-label": d.title }, controls);
    const forth = element("button", { type: "button", "aria-label": "Next " + stop + d.title }, controls, "▶");
    const label = element("label", {}, controls, "");
    const exact = element("input", { type: "number", step: "any", "aria-label": d.title + ", exact value" }, label);
    element("span", {}, label, d.unit);
    const own = d.now !== null && d.now >= d.low && d.now <= d.high;
    const home = own ? element("button", { type: "button" }, controls, "as in the instance") : null;
    const move = chart(d, place);
    const reading = element("dl", { class: "reading", "aria-live": "polite" }, place);
    const fields = {};
    for (const name of ["value", "objective", "plan"]) {
      element("dt", {}, reading, name === "value" ? d.parameter : name === "objective" ? d.objective : name);
      fields[name] = element("dd", { "data-field": name }, reading);
    }
    const picture = element("div", {}, place);
    let x = d.low, shown = -2;

    function show(value, from) {
      x = Math.min(d.high, Math.max(d.low, value));
      if (d.points) x = d.starts[pieceAt(d, x)];
      const k = pieceAt(d, x), y = objectiveOf(d, k, x), plan = d.plan[k] < 0 ? null : d.plans[d.plan[k]];
      const none = d.complete ? "no plan" : "no plan found";
      const meets = !d.points && !d.limit && k + 1 < d.starts.length && d.stops[k] === x && d.plan[k] >= 0 && d.plan[k + 1] >= 0;
      if (from !== slider) slider.value = Math.round(shareOf(d, x) * STEPS);
      if (from !== exact) exact.value = String(Number(x.toPrecision(9)));
      fields.value.textContent = quantity(d, x) + (meets ? " (break-even: the plan beyond is as good here)" : "");
      fields.objective.textContent = y === null ? "–" : number(y, 9);
      fields.plan.textContent = plan === null ? none : plan.text;
      box.dataset.value = String(x);
      box.dataset.objective = String(y);
      box.dataset.piece = String(k);
      slider.setAttribute("aria-valuetext", quantity(d, x) + ", " + d.objective + " " + fields.objective.textContent + ", " + fields.plan.textContent);
      move(x, y);
      if (k !== shown) {
        strips(d, plan, picture);
        if (listed) {
          if (shown >= 0) rows[shown].classList.remove("here");
          rows[k].classList.add("here");
          const scrolled = rows[k].closest(".box");
          if (scrolled.scrollHeight > scrolled.clientHeight) scrolled.scrollTop = rows[k].offsetTop - scrolled.clientHeight / 2;
        }
        shown = k;
      }
    }

    const breaks = d.starts.filter((start, k) => k > 0 && start > d.low && start < d.high);
    slider.addEventListener("input", () => show(valueOf(d, Number(slider.value)), slider));
    if (d.points) slider.addEventListener("change", () => show(x, null));
    exact.addEventListener("input", () => { if (exact.value !== "" && isFinite(Number(exact.value))) show(Number(exact.value), exact); });
    exact.addEventListener("change", () => show(x, null));
    back.addEventListener("click", () => show(breaks.filter((value) => value < x).pop() ?? d.low, back));
    forth.addEventListener("click", () => show(breaks.find((value) => value > x) ?? d.high, forth));
    if (home) home.addEventListener("click", () => show(d.now, home));
    show(own ? d.now : d.low, null);
  }

  document.querySelectorAll(".explorer").forEach(explorer);
})();
