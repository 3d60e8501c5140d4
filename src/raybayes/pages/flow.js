// Draws from a trained density, x -> theta: the modules of raybayes.density, one function for each
// kind, plain loops over float32 weights. Only the direction base -> z is here.
"use strict";

const raybayes = (() => {
  const CLAMP = 1.9, FLOOR = 1e-3, UNIT = Math.log(Math.E - 1 - FLOOR);
  const START = -1, SHARPEST = -9, WIDEST = 2, LAST = 1 - 2 ** -24;
  const ROOT = Math.sqrt(2 / Math.PI);
  const ERFC = [-1.26551223, 1.00002368, 0.37409196, 0.09678418, -0.18628806, 0.27886807,
                -1.13520398, 1.48851587, -0.82215223, 0.17087277];
  const ACTIVATIONS = {
    silu: (a) => a / (1 + Math.exp(-a)),
    relu: (a) => Math.max(a, 0),
    tanh: Math.tanh,
    gelu: (a) => 0.5 * a * (1 + Math.tanh(ROOT * (a + 0.044715 * a ** 3))),
  };

  // Arrays stand as {at, shape}; here they become views of the one buffer.
  function loaded(description) {
    const bytes = Uint8Array.from(atob(description.weights), (c) => c.charCodeAt(0));
    const view = new DataView(bytes.buffer);
    const numbers = new Float32Array(bytes.length / 4);
    for (let i = 0; i < numbers.length; i++) numbers[i] = view.getFloat32(4 * i, true);
    const visit = (node) => {
      if (node === null || typeof node !== "object") return node;
      if ("at" in node && "shape" in node) {
        const length = node.shape.reduce((a, b) => a * b, 1);
        return { values: numbers.subarray(node.at, node.at + length), shape: node.shape };
      }
      if (Array.isArray(node)) return node.map(visit);
      return Object.fromEntries(Object.entries(node).map(([key, value]) => [key, visit(value)]));
    };
    return { ...description, weights: null, density: visit(description.density),
             quantiles: visit(description.quantiles) };
  }

  function row(matrix, i, x) {
    const columns = matrix.shape[1], a = matrix.values;
    let sum = 0;
    for (let j = 0, k = i * columns; j < columns; j++, k++) sum += a[k] * x[j];
    return sum;
  }

  const times = (matrix, x) => Float64Array.from({ length: matrix.shape[0] }, (_, i) => row(matrix, i, x));
  const unit = (layer, i, x) => row(layer.weight, i, x) + layer.bias.values[i];
  const dense = (layer, x) => times(layer.weight, x).map((v, i) => v + layer.bias.values[i]);

  function mlp(net, x) {
    const act = ACTIVATIONS[net.activation], last = net.layers.length - 1;
    return net.layers.reduce((v, layer, i) => (i < last ? dense(layer, v).map(act) : dense(layer, v)), x);
  }

  const EMBEDDINGS = {
    MLP: mlp,
    Residual(net, x) {
      const act = ACTIVATIONS[net.activation];
      return net.blocks.reduce((v, block) => {
        const change = mlp(block, v.map(act));
        return v.map((a, i) => a + change[i]);
      }, dense(net.first, x));
    },
    Convolution(net, x) {
      const act = ACTIVATIONS[net.activation];
      let signals = { values: x, channels: net.shape[0], sides: net.shape.slice(1) };
      for (const layer of net.layers) signals = convolved(layer, signals, net.kernel, act);
      return dense(net.last, signals.values);
    },
    Set(net, x) {
      const each = x.length / net.items, width = net.each.layers.at(-1).bias.values.length;
      const mean = new Float64Array(width);
      for (let i = 0; i < net.items; i++) {
        const one = mlp(net.each, x.slice(i * each, (i + 1) * each));
        for (let j = 0; j < width; j++) mean[j] += one[j] / net.items;
      }
      return mlp(net.together, mean);
    },
    Marked(net, x) { // of every item its features, then which of them are unknown
      const each = x.length / net.items, rows = [];
      for (let i = 0; i < net.items; i++) {
        const row = [...x.slice(i * each, (i + 1) * each)];
        rows.push(...row, ...row.map((v) => (v === 0 ? 1 : 0)));
      }
      return EMBEDDINGS[net.embedding.module](net.embedding, Float64Array.from(rows));
    },
  };

  // A stride of 2 with half a kernel of padding; a profile is an image of one row.
  function convolved(layer, signals, kernel, act) {
    const flat = signals.sides.length === 1, half = kernel >> 1;
    const [height, width] = flat ? [1, signals.sides[0]] : signals.sides;
    const halved = (side) => ((side + 2 * half - kernel) >> 1) + 1;
    const rows = flat ? 1 : halved(height), columns = halved(width), high = flat ? 1 : kernel;
    const outputs = layer.bias.values.length, out = new Float64Array(outputs * rows * columns);
    const patch = new Float64Array(signals.channels * high * kernel);
    for (let i = 0; i < rows; i++) for (let j = 0; j < columns; j++) {
      let k = 0; // offsets first, then channels, as in density/embeddings.py
      for (let a = 0; a < high; a++) for (let b = 0; b < kernel; b++) {
        const y = flat ? 0 : 2 * i + a - half, u = 2 * j + b - half;
        const inside = y >= 0 && y < height && u >= 0 && u < width;
        for (let c = 0; c < signals.channels; c++)
          patch[k++] = inside ? signals.values[(c * height + y) * width + u] : 0;
      }
      const values = dense(layer, patch);
      for (let o = 0; o < outputs; o++) out[(o * rows + i) * columns + j] = act(values[o]);
    }
    return { values: out, channels: outputs, sides: flat ? [columns] : [rows, columns] };
  }

  function features(f, x) {
    const [mean, scale, shift, root, log, least] = [f.mean, f.scale, f.shift, f.root, f.log, f.least].map((a) => a.values);
    const raw = (v, i) => {
      if (f.kind === "values") return v;
      const lifted = Math.max(v + shift[i], least[i]);
      if (f.kind === "counts" || root[i] > 0) return 2 * Math.sqrt(lifted);
      return log[i] > 0 ? Math.log(lifted) : v;
    };
    return Float64Array.from(x, (v, i) => (raw(v, i) - mean[i]) / scale[i]);
  }

  function conditioned(net, known, h) {
    const act = ACTIVATIONS[net.activation], seen = times(net.known, known);
    let out = h.map((v, i) => act(v + seen[i]));
    for (const layer of net.hidden) out = dense(layer, out).map(act);
    return dense(net.last, out);
  }

  // Coordinates one after the other: each unit once, when those before its degree are known.
  function ancestral(net, h, d, draw) {
    const act = ACTIVATIONS[net.activation], each = net.last.bias.values.length / d, width = h.length;
    const outs = [net.known, ...net.hidden].map(() => new Float64Array(width)), last = outs.at(-1);
    const z = new Float64Array(d), raw = new Float64Array(each);
    for (let i = 0; i < d; i++) {
      for (let k = i; k < width; k += d) outs[0][k] = act(h[k] + row(net.known, k, z));
      net.hidden.forEach((layer, l) => {
        for (let k = i; k < width; k += d) outs[l + 1][k] = act(unit(layer, k, outs[l]));
      });
      for (let j = 0; j < each; j++) raw[j] = unit(net.last, i * each + j, last);
      z[i] = draw(i, z, raw);
    }
    return z;
  }

  // Inverses y -> x of one coordinate, given its raw parameters.
  const TRANSFORMS = {
    Affine: (_, y, raw) => (y - raw[1]) * Math.exp((-2 * CLAMP / Math.PI) * Math.atan(raw[0] / CLAMP)),
    Spline: spline,
    AffineSpline: (t, y, raw) => TRANSFORMS.Affine(null, spline(t.spline, y, raw.subarray(2)), raw),
  };

  function spline(t, y, raw) {
    const k = t.bins;
    if (Math.abs(y) >= t.bound) return y;
    const xs = places(raw.subarray(0, k), t.bound), ys = places(raw.subarray(k, 2 * k), t.bound);
    let i = 0;
    while (i < k - 1 && y >= ys[i + 1]) i++;
    const slope = (j) => (j === 0 || j === k ? 1 : FLOOR + softplus(raw[2 * k + j - 1] + UNIT));
    const w = xs[i + 1] - xs[i], h = ys[i + 1] - ys[i], s = h / w, up = y - ys[i];
    const bend = up * (slope(i + 1) + slope(i) - 2 * s); // arXiv 1906.04032 eqs. 6-8
    const a = h * (s - slope(i)) + bend, b = h * slope(i) - bend, c = -s * up;
    const xi = (2 * c) / (-b - Math.sqrt(Math.max(b * b - 4 * a * c, 0)));
    return xs[i] + xi * w;
  }

  const softplus = (a) => Math.max(a, 0) + Math.log1p(Math.exp(-Math.abs(a)));

  function places(raw, bound) {
    const top = Math.max(...raw), powers = Array.from(raw, (a) => Math.exp(a - top));
    const total = powers.reduce((a, b) => a + b), k = raw.length, knots = [-bound];
    let sum = 0;
    for (let i = 0; i < k - 1; i++) {
      sum += FLOOR + (1 - FLOOR * k) * (powers[i] / total);
      knots.push(2 * bound * sum - bound);
    }
    return [...knots, bound];
  }

  const STEPS = {
    Coupling(step, v, h) {
      const raw = conditioned(step.conditioner, v.subarray(step.changed), h);
      const each = raw.length / step.changed, out = Float64Array.from(v);
      for (let i = 0; i < step.changed; i++)
        out[i] = restored(step.transform, v[i], raw.subarray(i * each, (i + 1) * each));
      return out;
    },
    Autoregressive: (step, v, h) =>
      ancestral(step.conditioner, h, step.dim, (i, _, raw) => restored(step.transform, v[i], raw)),
  };

  const restored = (transform, y, raw) => TRANSFORMS[transform.module](transform, y, raw);

  function inverted(layer, v, h) {
    let out = STEPS[layer.step.module](layer.step, v, h);
    if (layer.norm)
      out = out.map((a, i) => (a - layer.norm.shift.values[i]) * Math.exp(-layer.norm.log_scale.values[i]));
    return times(layer.mixing.matrix, out.map((a, i) => a - layer.mixing.shift.values[i]));
  }

  // What a density makes of features f, then of one base point.
  const DENSITIES = {
    Flow(flow, f) {
      const c = EMBEDDINGS[flow.embedding.module](flow.embedding, f);
      const hs = flow.layers.map((layer) => dense(layer.step.conditioner.context, c));
      return (v) => hs.reduceRight((z, h, i) => inverted(flow.layers[i], z, h), Float64Array.from(v));
    },
    Rnade(net, f) {
      const h = dense(net.conditioner.context, EMBEDDINGS[net.embedding.module](net.embedding, f));
      const d = net.dim, { matrix, shift } = net.order, { factor } = net.regression;
      const zero = middle(net.regression, f);
      return (v) => {
        const r = ancestral(net.conditioner, h, d, (i, before, raw) => {
          const others = zero[i] + row(factor, i, before), scale = factor.values[i * d + i];
          const box = [(-1 - others) / scale, (1 - others) / scale];
          return fromMixture(raw, row(net.slopes, i, before), box, Math.exp(logNormal(v[i])), Math.exp(logNormal(v[d + i])));
        });
        const u = times(factor, r).map((a, i) => Math.min(Math.max(zero[i] + a, -LAST), LAST));
        return times(matrix, u.map((a, i) => a - shift.values[i])).map((a) => inverseNormal(Math.log((1 + a) / 2)));
      };
    },
  };

  // A draw from a mixture of normals in a box: the component first, then the place in it.
  function fromMixture(raw, linear, [least, most], pick, share) {
    const k = raw.length / 3, top = Math.max(...raw.subarray(0, k));
    const powers = Array.from(raw.subarray(0, k), (a) => Math.exp(a - top));
    let left = pick * powers.reduce((a, b) => a + b), j = 0;
    while (j < k - 1 && left > powers[j]) left -= powers[j++];
    const evenly = k === 1 ? 0 : (1 - 1 / k) * (2 * j / (k - 1) - 1);
    const mean = raw[k + j] + evenly + linear;
    const sd = Math.exp(Math.min(Math.max(raw[2 * k + j] + START, SHARPEST), WIDEST));
    const side = mean < least ? -1 : 1; // small masses are exact in the lower tail only
    const [from, to] = side > 0 ? [least, most] : [-most, -least];
    const low = (from - side * mean) / sd, high = (to - side * mean) / sd, whole = logNormal(high);
    const rest = Math.exp(logNormal(low) - whole), up = side > 0 ? share : 1 - share;
    return mean + side * sd * inverseNormal(whole + Math.log(rest + up * (1 - rest)), low, high);
  }

  // log of the normal distribution function; its error is 1.2e-7 (Numerical Recipes, erfcc).
  function logNormal(x) {
    const a = Math.abs(x) / Math.SQRT2, t = 1 / (1 + a / 2);
    const tail = Math.log(t / 2) + ERFC.reduceRight((sum, c) => c + t * sum, 0) - a * a;
    return x < 0 ? tail : Math.log1p(-Math.exp(tail));
  }

  // Its inverse, between two ends.
  function inverseNormal(logMass, low = -9, high = 9) {
    for (let i = 0; i < 50; i++) {
      const middle = (low + high) / 2;
      if (logNormal(middle) < logMass) low = middle; else high = middle;
    }
    return (low + high) / 2;
  }

  // Where a regression's residual is 0.
  const middle = ({ centre, gain }, f) => times(gain, f).map((v, i) => v + centre.values[i]);

  // z of base points at one x, by one member.
  function member(m, x, base) {
    const f = features(m.features, x), drawn = DENSITIES[m.density.module](m.density, f);
    const zero = middle(m.regression, f);
    return base.map((v) => times(m.regression.factor, drawn(v)).map((a, i) => a + zero[i]));
  }

  // theta [n][d] from base points [n][model.base]; an ensemble's members take equal shares in turn.
  function draws(model, x, base) {
    const members = model.density.members ?? [model.density];
    const share = Math.ceil(base.length / members.length);
    return members.flatMap((m, i) => member(m, x, base.slice(i * share, (i + 1) * share)))
      .map((z) => Array.from(z, (v, j) => quantile(model, v, j)));
  }

  // From R^d to a parameter, by the table of its prior's quantiles.
  function quantile(model, z, j) {
    const [, n] = model.quantiles.shape, table = model.quantiles.values;
    const place = Math.min(Math.max((z / model.reach + 1) / 2, 0), 1) * (n - 1);
    const i = Math.min(Math.floor(place), n - 2), a = table[j * n + i], b = table[j * n + i + 1];
    return model.lowest[j] + a + (b - a) * (place - i);
  }

  // How far x is from the study's observations: above 1, farther than any of them.
  function distance(model, x) {
    const f = features((model.density.members ?? [model.density])[0].features, x);
    return Math.sqrt(f.reduce((sum, v) => sum + v * v, 0) / f.length) / model.farthest;
  }

  // Standard normal numbers, the same for the same seed.
  function normals(n, d, seed) {
    let state = seed >>> 0;
    const uniform = () => { // mulberry32
      state = (state + 0x6d2b79f5) >>> 0;
      let t = Math.imul(state ^ (state >>> 15), 1 | state);
      t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
      return (((t ^ (t >>> 14)) >>> 0) + 0.5) / 4294967296;
    };
    const one = () => Math.sqrt(-2 * Math.log(uniform())) * Math.cos(2 * Math.PI * uniform());
    return Array.from({ length: n }, () => Array.from({ length: d }, one));
  }

  return { loaded, draws, distance, normals };
})();
