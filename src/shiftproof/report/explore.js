/* Maps of shifts that can be explored: one cell per shift, shift 0 in the middle of a torus.

   The data is the JSON of a verdict (or of a sweep) and one byte per shift. What is known of a shift is worked out here:
   a refuted one follows from a counterexample, since k Δ + l is its shift for some k and some l of the proved lattice. */
"use strict";

const NAMES = ["dz", "dy", "dx"];
const LOOKS = {
  proved: "--cell-proved", equal: "--cell-proved", refuted: "--cell-refuted", differs: "--cell-refuted",
  undecided: "--cell-undecided", unclear: "--cell-undecided", undefined: "--band",
};
const SIGNS = { proved: "✓", equal: "✓", refuted: "✗", differs: "✗", undecided: "?", unclear: "?", undefined: "–" };
const MEANS = { proved: "for every image", refuted: "by a counterexample", unclear: "close to rounding", undefined: "no output shift" };
const VERDICT_WORDS = ["undecided", "proved", "refuted"], SWEEP_WORDS = ["differs", "equal", "unclear", "undefined"];
const RAMP = [[245, 249, 146], [250, 196, 42], [248, 137, 12], [226, 87, 52], [186, 54, 85]];

const mod = (a, n) => ((a % n) + n) % n;
const bytes = (text) => Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
const tuple = (t) => (t.length === 1 ? `(${t[0]},)` : `(${t.join(", ")})`);
const same = (a, b) => a.every((step, axis) => step === b[axis]);
const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

function general(x, places = 3) { // as Python's .3g
  if (x === 0 || !Number.isFinite(x)) return String(x);
  const [digits, power] = x.toExponential(places - 1).split("e"), p = Number(power);
  if (p < -4 || p >= places) return `${Number(digits)}e${p < 0 ? "-" : "+"}${String(Math.abs(p)).padStart(2, "0")}`;
  return String(Number(x.toPrecision(places)));
}

function make(tag, properties = {}, ...children) {
  const element = Object.assign(document.createElement(tag), properties);
  element.append(...children);
  return element;
}

/* --- what is known: a list of maps, each with words and a `tell` --- */

function verdictMaps({ verdict, maps, probes, examples }) {
  const found = [];
  for (const output of verdict.outputs) {
    for (const property of ["equivariance", "invariance"]) {
      const about = output[property], key = `${output.name}.${property}`;
      if (!about) continue;
      const map = torus(verdict.grid, bytes(maps[key]), VERDICT_WORDS);
      const moves = outputShifts(map, about.evidence.proofs, output.shape);
      const kind = property === "equivariance" ? "equivariant" : "invariant";
      Object.assign(map, {
        title: `${output.name}: ${property}`,
        detail: `${about.proved} of ${map.words.length} shifts ${kind}`,
        certified: certifiedShifts(map, about.evidence.proofs),
        identity: about.evidence.identity,
        byIdentity: about.evidence.by_identity,
        tell: (shift) => tellVerdict(map, { about, property, moves, probes: probes[key], examples: examples[key], shift }),
      });
      found.push(map);
    }
  }
  return found;
}

function torus(grid, words, names) {
  const map = {
    words, names, wraps: true,
    axes: grid.map((size, axis) => ({ name: grid.length > 3 ? `d${axis}` : NAMES[3 - grid.length + axis], from: -Math.floor(size / 2), size })),
    at: (shift) => shift.reduce((sum, step, axis) => sum * grid[axis] + mod(step, grid[axis]), 0),
  };
  map.word = (shift) => names[words[map.at(shift)]];
  return map;
}

/* By how much the output moves, for every proved shift: composed of the proofs of the generators. */
function outputShifts(map, proofs, shape) {
  const grid = map.axes.map((axis) => axis.size), zero = grid.map(() => 0);
  const first = proofs.find((proof) => proof.output_shift.length);
  if (!first) return null;
  const moved = new Map([[0, first.output_shift.map(() => 0)]]), queue = [zero];
  while (queue.length) {
    const shift = queue.pop(), here = moved.get(map.at(shift));
    for (const proof of proofs) {
      const next = shift.map((step, axis) => mod(step + proof.shift[axis], grid[axis]));
      if (moved.has(map.at(next))) continue;
      moved.set(map.at(next), here.map((step, axis) => step + proof.output_shift[axis]));
      queue.push(next);
    }
  }
  return moved;
}

/* The places of the shifts that the certificate proves. */
function certifiedShifts(map, proofs) {
  const grid = map.axes.map((axis) => axis.size), queue = [grid.map(() => 0)], found = new Set([0]);
  const steps = proofs.filter((proof) => proof.by === "kernel").map((proof) => proof.shift);
  while (queue.length) {
    const shift = queue.pop();
    for (const step of steps) {
      const next = shift.map((s, axis) => mod(s + step[axis], grid[axis])), place = map.at(next);
      if (found.has(place)) continue;
      found.add(place);
      queue.push(next);
    }
  }
  return found;
}

function evidenceOf(map, about, shift) {
  const grid = map.axes.map((axis) => axis.size), asked = shift.map((step, axis) => mod(step, grid[axis]));
  const word = map.word(asked), { proofs, witnesses, undecided, identity } = about.evidence;
  const certified = map.certified.has(map.at(asked)), field = identity && `an identity in the field, ${identity.bound}`;
  if (word === "proved") {
    const by = certified ? "certificate" : "identity";
    if (asked.every((step) => step === 0)) return { word, by, text: "shift 0 changes nothing." };
    const direct = proofs.find((proof) => same(proof.shift, asked));
    if (!direct) {
      const used = proofs.filter((proof) => !certified || proof.by === "kernel").map((proof) => tuple(proof.shift));
      return { word, by, text: `composed of the proved shifts ${used.join(", ")}${certified ? "" : `; ${field}`}.` };
    }
    const moved = direct.output_shift.length ? `, the output moves by ${tuple(direct.output_shift)}` : "";
    return { word, by, text: `${certified ? "derived by the kernel" : field}${moved}.` };
  }
  if (word === "undecided") {
    const known = undecided.find((other) => same(other.shift, asked)), other = undecided[0];
    const why = known ? known.reason : other ? `as for ${tuple(other.shift)}, ${other.reason}` : "no proof was found";
    const [, tried] = about.probes.find(([probed]) => same(probed, asked)) || [asked, 0];
    return { word, text: `${why}; ${tried} images were tried under this shift, and none refutes it.` };
  }
  // a rigorous witness for a multiple says more than a numerical one for the shift itself
  for (let step = 0; step < 2 * map.words.length; step++) {
    const rigorous = step < map.words.length, multiple = 1 + (step % map.words.length);
    const reached = asked.map((step, axis) => mod(multiple * step, grid[axis]));
    for (const [number, witness] of witnesses.entries()) {
      if ((witness.evidence !== "numerical") !== rigorous) continue;
      const offset = witness.shift.map((step, axis) => mod(step - reached[axis], grid[axis]));
      if (map.word(offset) !== "proved") continue;
      const straight = multiple === 1 && offset.every((step) => step === 0);
      const steps = multiple > 1 ? `${multiple} times ${tuple(asked)}` : tuple(asked);
      const how = map.certified.has(map.at(offset)) ? "" : " (by identity)";
      const then = offset.some((step) => step) ? `, then the proved shift ${tuple(offset)}${how},` : "";
      const text = straight
        ? `a counterexample: the output differs by ${general(witness.deviation)}${witness.evidence === "numerical" ? ", seen numerically" : ""}.`
        : `${steps}${then} is the shift ${tuple(witness.shift)}, which a counterexample refutes${witness.evidence === "numerical" ? " numerically" : ""}.`;
      return { word, text, multiple, offset, number, witness };
    }
  }
  throw new Error("a refuted shift has a counterexample");
}

function tellVerdict(map, { about, property, moves, probes, examples, shift }) {
  const found = evidenceOf(map, { ...about, probes }, shift), law = property === "equivariance";
  const lines = [found.text];
  let claim, tiles = [];
  if (found.word === "proved") {
    const moved = moves && moves.get(map.at(shift));
    claim = law ? "f(T x) = T′ f(x) for every image x" : "f(T x) = f(x) for every image x";
    if (law && moved && found.text.startsWith("composed")) lines.push(`The output moves by ${tuple(moved)}.`);
    tiles = provedTiles(examples[0], shift, law ? moved : null);
  } else if (found.word === "refuted") {
    const { witness } = found;
    claim = law ? "f(T x) ≠ T′ f(x) for some image x, whichever T′" : "f(T x) ≠ f(x) for some image x";
    const strength = {
      exact: "exact: whole numbers, no rounding",
      enclosed: `at least ${general(witness.gap)}, by enclosures`,
      numerical: `numerically: ${general(witness.deviation / witness.floor)} times what rounding explains`,
    }[witness.evidence];
    lines.push(`Deviation under ${tuple(witness.shift)}: ${general(witness.deviation, 4)} (${strength}).`);
    if (found.multiple > 1 || found.offset.some((step) => step)) lines.push(`Drawn: the counterexample, under ${tuple(witness.shift)}.`);
    tiles = copies(examples[found.number].key, ["image", "shifted", "moved", law ? "law" : "still", "difference"]);
  } else {
    claim = "neither proved nor refuted";
  }
  return { ...found, claim, lines, tiles };
}

function sweepMaps({ sweep, maps }) {
  return maps.map(({ layer, property, status, deviation }) => {
    const record = sweep.layers.find((other) => other.name === layer), count = record[property];
    const map = torus(sweep.grid, bytes(status), SWEEP_WORDS), values = halves(bytes(deviation));
    if (sweep.boundary !== "torus") {
      map.wraps = false;
      for (const [axis, [start, stop]] of sweep.ranges.entries()) Object.assign(map.axes[axis], { from: start, size: stop - start });
      map.at = (shift) => shift.reduce((sum, step, axis) => sum * map.axes[axis].size + step - map.axes[axis].from, 0);
      map.word = (shift) => SWEEP_WORDS[map.words[map.at(shift)]];
    }
    const known = values.filter((value, index) => map.words[index] === 0 && value > 0).sort();
    let [low, high] = [Math.log(known[Math.floor(known.length / 50)]), Math.log(known.at(-1))];
    if (low === high) [low, high] = [low - 0.2, high + 0.2];
    map.shade = (shift) => {
      const place = Math.max(0, (Math.log(values[map.at(shift)]) - low) / (high - low)) * (RAMP.length - 1);
      const from = Math.min(RAMP.length - 2, Math.floor(place));
      return `rgb(${RAMP[from].map((c, i) => Math.round(c + (RAMP[from + 1][i] - c) * (place - from)))})`;
    };
    map.ramp = known.length ? [known[0], known.at(-1)].map((value) => general(value)) : null;
    const total = count.equal + count.differs + count.unclear + count.undefined, law = property === "equivariance";
    const tell = (shift) => {
      const word = map.word(shift), value = values[map.at(shift)];
      const claim = { equal: law ? "f(T x) = T′ f(x)" : "f(T x) = f(x)", differs: law ? "f(T x) ≠ T′ f(x)" : "f(T x) ≠ f(x)" }[word]
        || { unclear: "too small to tell from rounding", undefined: "the law gives no output shift in whole cells" }[word];
      const basis = record.exact ? "every number is exact" : `rounding noise ${general(record.noise)}`;
      const seen = `Seen on ${sweep.images} image${sweep.images === 1 ? "" : "s"}; a sweep measures and refutes, it does not prove.`;
      return { word, claim, lines: [...(word === "undefined" ? [] : [`largest deviation ${general(value)} (${basis})`]), seen], tiles: [] };
    };
    const words = law ? "equivariant" : "invariant";
    return Object.assign(map, { title: `${layer}: ${property}`, detail: `${record.exact ? "=" : "≈"} ${count.equal} of ${total} ${words}`, tell });
  });
}

/* Deviations come as the upper halves of 32-bit floats. */
function halves(raw) {
  const words = new Uint16Array(raw.buffer), bits = Uint32Array.from(words, (half) => half << 16);
  return new Float32Array(bits.buffer);
}

/* --- small pictures --- */

function copies(key, roles) {
  const example = document.getElementById(key);
  return roles.map((role) => example.querySelector(`[data-role=${role}]`)).filter(Boolean).map((tile) => tile.cloneNode(true));
}

/* Under a proved shift nothing new is to be computed: the outputs are those at rest, moved. */
function provedTiles(example, shift, moved) {
  if (!example) return [];
  const steps = [["image", null, "x", "an image"], ["image", shift, "T x", `moved by ${tuple(shift)}`]];
  if (moved) steps.push(["still", null, "f(x)", "the output"], ["still", moved, "f(T x) = T′ f(x)", `moved by ${tuple(moved)}`]);
  else steps.push(["still", null, "f(x) = f(T x)", "unchanged"]);
  return steps.flatMap(([role, by, title, note]) => {
    const [tile] = copies(example.key, [role]);
    if (!tile) return [];
    tile.querySelector("figcaption").replaceChildren(title, make("small", { textContent: note }));
    const image = tile.querySelector("img");
    if (by && image) roll(image, by.slice(-2));
    return [tile];
  });
}

function roll(image, shift) {
  const canvas = make("canvas", { className: image.className, role: "img", ariaLabel: image.alt });
  const paint = () => {
    const [wide, high] = [image.naturalWidth, image.naturalHeight];
    const [dy, dx] = shift.length > 1 ? [mod(shift[0], high), mod(shift[1], wide)] : [0, mod(shift[0], wide)];
    Object.assign(canvas, { width: wide, height: high });
    const context = canvas.getContext("2d");
    for (const top of [dy - high, dy]) for (const left of [dx - wide, dx]) context.drawImage(image, left, top);
  };
  image.replaceWith(canvas);
  image.decode().then(paint);
}

/* --- drawing --- */

function paint(context, map, { left, top, wide, high }, fixed) {
  const [down, across] = planeOf(map);
  const cell = Math.min(wide / across.size, high / down.size), shades = Object.fromEntries(map.names.map((name) => [name, colour(LOOKS[name])]));
  const x = (column) => left + Math.round((column * wide) / across.size), y = (row) => top + Math.round((row * high) / down.size);
  const proved = [];
  for (let row = 0; row < down.size; row++) {
    for (let column = 0; column < across.size; column++) {
      const shift = [...fixed, ...(map.axes.length > 1 ? [down.from + row] : []), across.from + column];
      const word = map.word(shift), box = [x(column), y(row), x(column + 1) - x(column), y(row + 1) - y(row)];
      context.fillStyle = (word === "differs" && map.shade && map.shade(shift)) || shades[word];
      context.fillRect(...box);
      if (word === "proved" || word === "equal") proved.push(box);
      if (word === "proved" && map.byIdentity && !map.certified.has(map.at(shift)) && cell >= 9 * devicePixelRatio) dot(context, box, colour("--ground"), 20);
      else if (word === "undecided" || word === "unclear") hatch(context, box, colour("--ground"));
      else if (word === "undefined") hatch(context, box, colour("--line"));
      else if (word === "refuted" && cell >= 9 * devicePixelRatio) dot(context, box, colour("--cell-mark"));
    }
  }
  if (cell < 5 * devicePixelRatio && proved.length < 0.1 * down.size * across.size) { // lone cells would be lost
    const size = Math.round(5 * devicePixelRatio);
    context.fillStyle = shades[map.names[1]];
    for (const [px, py, w, h] of proved) context.fillRect(Math.round(px + (w - size) / 2), Math.round(py + (h - size) / 2), size, size);
  }
  if (cell >= 5 * devicePixelRatio) {
    context.fillStyle = colour("--cell-gap");
    const gap = Math.max(1, Math.round(devicePixelRatio * (cell > 12 * devicePixelRatio ? 1 : 0.5)));
    for (let column = 1; column < across.size; column++) context.fillRect(x(column), top, gap, high);
    for (let row = 1; row < down.size; row++) context.fillRect(left, y(row), wide, gap);
  }
  return { x, y, cell };
}

const planeOf = (map) => [map.axes.length > 1 ? map.axes.at(-2) : { name: "", from: 0, size: 1 }, map.axes.at(-1)];

function hatch(context, [left, top, wide, high], shade) {
  if (wide < 4) return;
  context.save();
  context.beginPath();
  context.rect(left, top, wide, high);
  context.clip();
  context.strokeStyle = shade;
  context.lineWidth = Math.max(1, wide / 12);
  context.beginPath();
  for (let step = -high; step < wide; step += Math.max(4, wide / 3)) {
    context.moveTo(left + step, top + high);
    context.lineTo(left + step + high, top);
  }
  context.stroke();
  context.restore();
}

function dot(context, [left, top, wide, high], shade, part = 12) {
  context.fillStyle = shade;
  context.beginPath();
  context.arc(left + wide / 2, top + high / 2, Math.max(1, wide / part), 0, 7);
  context.fill();
}

/* --- one explorer --- */

function explore(figure, number) {
  const data = JSON.parse(figure.querySelector("script").textContent);
  const maps = data.verdict ? verdictMaps(data) : sweepMaps(data);
  const begin = maps[0].axes.map(({ from, size }, axis, all) => (axis === all.length - 1 && from + size > 1 ? 1 : Math.max(0, from)));
  const state = { map: maps[0], pinned: begin, hover: null };
  const canvas = make("canvas", { tabIndex: 0 }), says = make("div", { className: "says", ariaLive: "polite" });
  canvas.setAttribute("role", "application");
  canvas.setAttribute("aria-roledescription", "map of shifts");
  const legend = make("ul", { className: "legend" }), caption = make("figcaption");
  const inputs = state.map.axes.map((axis) => make("input", { type: "number", min: axis.from, max: axis.from + axis.size - 1, value: 0 }));
  const go = make("div", { className: "go" }, ...inputs.map((input, axis) => make("label", {}, state.map.axes[axis].name, input)));
  const choices = make("fieldset", { className: "choices" });
  const base = document.createElement("canvas"), geometry = {};

  const limit = (shift) => shift.map((step, axis) => {
    const { from, size } = state.map.axes[axis];
    return state.map.wraps ? mod(step - from, size) + from : Math.min(from + size - 1, Math.max(from, step));
  });

  function draw() {
    const [down, across] = planeOf(state.map), scale = devicePixelRatio;
    const width = canvas.parentElement.clientWidth || 320, margin = { left: state.map.axes.length > 1 ? 46 : 4, bottom: 34, top: 3, right: 3 };
    const wide = width - margin.left - margin.right;
    const high = state.map.axes.length > 1 ? Math.min(wide * Math.max(0.3, Math.min(1.6, down.size / across.size)), 900) : 44;
    const size = [Math.round(width * scale), Math.round((high + margin.top + margin.bottom) * scale)];
    [canvas.width, canvas.height] = [base.width, base.height] = size;
    canvas.style.aspectRatio = `${size[0]} / ${size[1]}`;
    Object.assign(geometry, { left: Math.round(margin.left * scale), top: Math.round(margin.top * scale), wide: Math.round(wide * scale), high: Math.round(high * scale) });
    const context = base.getContext("2d");
    Object.assign(geometry, paint(context, state.map, geometry, state.pinned.slice(0, -2)));
    label(context, down, across, scale);
    for (const [index, thumb] of choices.querySelectorAll("canvas").entries()) {
      const side = Math.round(48 * scale);
      Object.assign(thumb, { width: side, height: side });
      paint(thumb.getContext("2d"), maps[index], { left: 0, top: 0, wide: side, high: side }, state.pinned.slice(0, -2));
    }
    overlay();
  }

  function label(context, down, across, scale) {
    const { left, top, wide, high, x, y } = geometry;
    context.fillStyle = colour("--quiet");
    context.font = `${11 * scale}px system-ui, sans-serif`;
    const every = (axis, room) => [1, 2, 4, 7, 8, 14, 16, 28, 32, 56, 64, 128, 256].find((step) => (axis.size / step) * 30 * scale <= room) || axis.size;
    context.textAlign = "center";
    for (let step = across.from, k = every(across, wide); step < across.from + across.size; step++) {
      if (step % k === 0) context.fillText(signed(step), (x(step - across.from) + x(step - across.from + 1)) / 2, top + high + 13 * scale);
    }
    context.fillText(`${across.name} → right`, left + wide / 2, top + high + 29 * scale);
    if (state.map.axes.length < 2) return;
    context.textAlign = "right";
    for (let step = down.from, k = every(down, high); step < down.from + down.size; step++) {
      if (step % k === 0) context.fillText(signed(step), left - 5 * scale, (y(step - down.from) + y(step - down.from + 1)) / 2 + 4 * scale);
    }
    context.save();
    context.translate(9 * scale, top + high / 2);
    context.rotate(-Math.PI / 2);
    context.textAlign = "center";
    context.fillText(`down ← ${down.name}`, 0, 0);
    context.restore();
  }

  function ring(context, shift, shades) {
    const [down, across] = planeOf(state.map), scale = devicePixelRatio, { x, y } = geometry;
    const column = shift.at(-1) - across.from, row = state.map.axes.length > 1 ? shift.at(-2) - down.from : 0;
    const least = 9 * scale, box = [x(column), y(row), x(column + 1) - x(column), y(row + 1) - y(row)];
    const wide = Math.max(least, box[2]), high = Math.max(least, box[3]);
    for (const [width, shade] of shades) {
      context.lineWidth = width * scale;
      context.strokeStyle = shade;
      context.strokeRect(box[0] + (box[2] - wide) / 2, box[1] + (box[3] - high) / 2, wide, high);
    }
  }

  function overlay() {
    const context = canvas.getContext("2d");
    context.clearRect(0, 0, canvas.width, canvas.height);
    context.drawImage(base, 0, 0);
    if (state.pinned.slice(0, -2).every((step) => step === 0)) ring(context, state.pinned.map(() => 0), [[1.2, colour("--ink")]]);
    ring(context, state.pinned, [[5, colour("--ground")], [2.6, colour("--ink")]]);
    if (state.hover) ring(context, state.hover, [[3, colour("--ground")], [1.5, colour("--ink")]]);
  }

  function tell() {
    const shift = state.hover || state.pinned, { word, claim, lines, tiles } = state.map.tell(shift);
    const steps = shift.map((step, axis) => `${state.map.axes[axis].name}\u00a0=\u00a0${signed(step)}`).join(", ");
    says.replaceChildren(
      make("p", {}, make("span", { className: `badge ${word}`, textContent: `${SIGNS[word]} ${word}` }), ` under the shift ${steps}`),
      make("p", { className: "claim", textContent: claim }),
      ...lines.map((text) => make("p", { className: "quiet", textContent: text[0].toUpperCase() + text.slice(1) })),
      make("div", { className: "tiles" }, ...tiles),
    );
    for (const [axis, input] of inputs.entries()) if (document.activeElement !== input) input.value = shift[axis];
  }

  function pin(shift) {
    const fixed = state.pinned.slice(0, -2);
    state.pinned = limit(shift);
    state.hover = null;
    same(fixed, state.pinned) ? overlay() : draw();
    tell();
  }

  function choose(map) {
    state.map = map;
    canvas.setAttribute("aria-label", `${map.title}: ${map.detail}. One cell per shift; arrow keys move, the evidence is read out.`);
    const counts = map.names.map((name, index) => [name, map.words.reduce((sum, word) => sum + (word === index), 0)]);
    legend.replaceChildren(...counts.filter(([, count]) => count).map(([name, count]) => make("li", {}, ...swatch(name, map, `${count.toLocaleString("en")} ${name}`), make("small", { textContent: meaning(name, map) }))));
    caption.replaceChildren(make("b", { textContent: map.title }), `: ${map.detail}. Each cell is one shift of the image, the middle is no shift at all. Point at a cell or tap it.`,
      make("span", { className: "keys", textContent: " Keys: arrows move by one, with Shift to the next blue cell, Home to the middle." }));
    draw();
    tell();
  }

  function target(event) {
    const box = canvas.getBoundingClientRect(), [down, across] = planeOf(state.map), { left, top, wide, high, cell } = geometry;
    const column = Math.floor((((event.clientX - box.left) * devicePixelRatio - left) / wide) * across.size);
    const row = Math.floor((((event.clientY - box.top) * devicePixelRatio - top) / high) * down.size);
    if (column < 0 || row < 0 || column >= across.size || row >= down.size) return null;
    const shift = [...state.pinned.slice(0, -2), ...(state.map.axes.length > 1 ? [row + down.from] : []), column + across.from];
    return cell < 5 * devicePixelRatio ? nearby(shift, Math.ceil((4 * devicePixelRatio) / cell)) : shift;
  }

  /* Cells that are smaller than a finger: a lone blue one near by is what was meant. */
  function nearby(shift, reach) {
    const isBlue = (s) => state.map.word(s) === state.map.names[1];
    if (state.map.words.reduce((sum, word) => sum + (word === 1), 0) > 0.1 * state.map.words.length) return shift;
    for (let ring = 0; ring <= reach; ring++) {
      for (let a = -ring; a <= ring; a++) for (let b = -ring; b <= ring; b++) {
        const tried = limit(shift.map((step, axis) => step + (axis === shift.length - 1 ? b : axis === shift.length - 2 ? a : 0)));
        if (isBlue(tried)) return tried;
      }
    }
    return shift;
  }

  function press(event) {
    const steps = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0], PageUp: [-1], PageDown: [1] }[event.key];
    if (event.key !== "Home" && !steps) return;
    event.preventDefault();
    if (event.key === "Home") return pin(state.pinned.map(() => 0));
    const rank = state.pinned.length, first = steps.length === 1 ? rank - 3 : rank - 2;
    const move = (shift) => limit(shift.map((step, axis) => step + (steps[axis - first] || 0)));
    let next = move(state.pinned);
    if (event.shiftKey) {
      for (let tried = next, left = Math.max(...state.map.axes.map((axis) => axis.size)); left--; tried = move(tried)) {
        if (state.map.word(tried) === state.map.names[1]) { next = tried; break; }
      }
    }
    pin(next);
  }

  choices.append(make("legend", { textContent: maps.length > 1 ? "Choose a map" : "" }));
  for (const [index, map] of maps.entries()) {
    const radio = make("input", { type: "radio", name: `map-${number}`, checked: index === 0, onchange: () => choose(map) });
    choices.append(make("label", {}, radio, make("canvas", { ariaHidden: true }), make("span", {}, map.title, make("small", { textContent: map.detail }))));
  }
  canvas.onpointermove = (event) => {
    if (event.pointerType === "touch") return;
    const found = target(event);
    if (found && state.hover && same(found, state.hover)) return;
    if (!found && !state.hover) return;
    state.hover = found;
    overlay();
    tell();
  };
  canvas.onpointerleave = () => { if (state.hover) { state.hover = null; overlay(); tell(); } };
  canvas.onclick = (event) => { const found = target(event); if (found) pin(found); };
  canvas.onkeydown = press;
  for (const input of inputs) input.oninput = () => {
    const shift = inputs.map((each) => Math.round(Number(each.value)));
    if (shift.every(Number.isFinite)) pin(shift);
  };
  if (maps.length > 1) figure.append(choices);
  figure.append(make("div", { className: "map" }, canvas, legend), make("div", { className: "panel" }, go, says), caption);
  choose(state.map);
  let width = 0;
  new ResizeObserver(([entry]) => { if (entry.contentRect.width !== width) { width = entry.contentRect.width; draw(); } }).observe(canvas.parentElement);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
  addEventListener("beforeprint", () => { document.documentElement.dataset.print = ""; draw(); });
  addEventListener("afterprint", () => { delete document.documentElement.dataset.print; draw(); });
  const place = (shift) => { // of the middle of a cell, for tests
    const [down, across] = planeOf(state.map), column = shift.at(-1) - across.from, row = shift.at(-2) - down.from;
    return [(geometry.x(column) + geometry.x(column + 1)) / 2 / devicePixelRatio, (geometry.y(row) + geometry.y(row + 1)) / 2 / devicePixelRatio];
  };
  return { maps, place };
}

function meaning(name, map) {
  const apart = name === "proved" && map.byIdentity ? `, ${map.byIdentity.toLocaleString("en")} of them by identity (with a dot), ${map.identity.bound}` : "";
  return MEANS[name] ? `: ${MEANS[name]}${apart}` : "";
}

const signed = (step) => (step < 0 ? `−${-step}` : String(step));

function swatch(name, map, text) {
  const i = make("i");
  if (name !== "differs" || !map.ramp) {
    i.style.background = `var(${LOOKS[name]})`;
    return [i, text];
  }
  i.className = "ramp";
  i.style.background = `linear-gradient(to right, ${RAMP.map((c) => `rgb(${c})`)})`;
  return [`${text.replace("differs", "differ")} by ${map.ramp[0]} `, i, map.ramp[1]];
}

const explorers = [...document.querySelectorAll(".explorer")].map(explore);
