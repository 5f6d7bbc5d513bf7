'use strict';
// Sorts tables, and explores codes: everything that is alive on the page. Text of the data is never markup.
(() => {
  const make = (name, parent, text, kind) => {
    const element = document.createElement(name);
    if (text !== undefined) element.textContent = text;
    if (kind) element.className = kind;
    parent.append(element);
    return element;
  };

  // A click on the head of a column sorts its table; another one turns the order around. Missing values come last.
  for (const table of document.querySelectorAll('table.sortable')) {
    const heads = [...table.tHead.rows[0].cells];
    heads.forEach((head, column) => {
      const isNumber = head.classList.contains('number');
      const key = row => {
        const text = row.cells[column].textContent.trim();
        // `≤ 0.03` and `< 1e-6` are sorted as the number.
        const number = parseFloat(text.replace(/^[≤<] /, ''));
        return isNumber ? (Number.isNaN(number) ? null : number) : text;
      };
      const sort = () => {
        const before = head.getAttribute('aria-sort');
        const descending = before ? before === 'ascending' : isNumber;
        heads.forEach(other => other.removeAttribute('aria-sort'));
        head.setAttribute('aria-sort', descending ? 'descending' : 'ascending');
        const sign = descending ? -1 : 1;
        const rows = [...table.tBodies[0].rows].map(row => [key(row), row]);
        rows.sort(([a], [b]) => {
          if (a === null || b === null) return (a === null) - (b === null);
          return sign * (isNumber ? a - b : a.localeCompare(b, undefined, { numeric: true }));
        });
        table.tBodies[0].append(...rows.map(([, row]) => row));
      };
      head.tabIndex = 0;
      head.title = 'sort by this column';
      head.addEventListener('click', sort);
      head.addEventListener('keydown', event => {
        if (event.key === 'Enter' || event.key === ' ') {
          event.preventDefault();
          sort();
        }
      });
    });
  }

  // Numbers from base64 of single or half precision.
  const bytes = text => Uint8Array.from(atob(text), letter => letter.charCodeAt(0));
  const half = bits => {
    const [sign, exponent, fraction] = [bits & 0x8000 ? -1 : 1, (bits >> 10) & 31, bits & 1023];
    if (exponent === 31) return fraction ? NaN : sign * Infinity;
    return sign * (exponent ? (1 + fraction / 1024) * 2 ** (exponent - 15) : fraction * 2 ** -24);
  };
  const floats = ({ bits, data }) => {
    const view = new DataView(bytes(data).buffer);
    const read = bits === 32 ? at => view.getFloat32(4 * at, true) : at => half(view.getUint16(2 * at, true));
    return Float32Array.from({ length: view.byteLength * 8 / bits }, (_, at) => read(at));
  };

  // The error function to 1.2e-7 (Press et al., Numerical Recipes).
  const erf = z => {
    const t = 1 / (1 + 0.5 * Math.abs(z));
    const terms = [0.17087277, -0.82215223, 1.48851587, -1.13520398, 0.27886807, -0.18628806, 0.09678418, 0.37409196,
      1.00002368];
    const sum = terms.reduce((sum, term) => sum * t + term, 0);
    const rest = t * Math.exp(-z * z - 1.26551223 + t * sum);
    return z >= 0 ? 1 - rest : rest - 1;
  };
  const sigmoid = z => 1 / (1 + Math.exp(-z));
  const activations = {
    identity: z => z,
    relu: z => Math.max(z, 0),
    leaky_relu: z => (z > 0 ? z : 0.01 * z),
    elu: z => (z > 0 ? z : Math.expm1(z)),
    gelu: z => 0.5 * z * (1 + erf(z * Math.SQRT1_2)),
    silu: z => z * sigmoid(z),
    tanh: Math.tanh,
    sigmoid,
    softplus: z => Math.max(z, 0) + Math.log1p(Math.exp(-Math.abs(z))),
  };

  // The function that decodes a code to a row in the units of the data.
  const decoderOf = ({ layers, weights, outputs, offset, scale }) => {
    const w = floats(weights);
    const layer = {
      linear: (x, from, to, at) => {
        const y = Array.from(w.subarray(at + from * to, at + from * to + to));
        for (let i = 0; i < from; i++) for (let j = 0; j < to; j++) y[j] += x[i] * w[at + i * to + j];
        return y;
      },
      affine: (x, n, at) => x.map((value, i) => value * w[at + i] + w[at + n + i]),
      layer_norm: (x, n, at) => {
        const mean = x.reduce((sum, value) => sum + value, 0) / n;
        const variance = x.reduce((sum, value) => sum + (value - mean) ** 2, 0) / n;
        return x.map((value, i) => ((value - mean) / Math.sqrt(variance + 1e-5)) * w[at + i] + w[at + n + i]);
      },
    };
    return code => {
      let x = Array.from(code);
      for (const [name, ...rest] of layers) x = layer[name] ? layer[name](x, ...rest) : x.map(activations[name]);
      for (const [name, start, end] of outputs) {
        if (name === 'values') continue;
        const part = x.slice(start, end);
        const softmax = () => {
          const powers = part.map(value => Math.exp(value - Math.max(...part)));
          const sum = powers.reduce((sum, power) => sum + power, 0);
          return powers.map(power => power / sum);
        };
        x.splice(start, end - start, ...(name === 'sigmoid' ? part.map(sigmoid) : softmax()));
      }
      return x.map((value, i) => value * scale[i % scale.length] + offset[i % offset.length]);
    };
  };

  const short = value => {
    if (!Number.isFinite(value)) return '–';
    const size = Math.abs(value);
    if (size === 0) return '0';
    if (size < 1e-3 || size >= 1e9) return value.toExponential(1);
    return String(Number(value.toFixed(Math.max(0, 2 - Math.floor(Math.log10(size))))));
  };

  // The values of an image, channel by channel, as shades of a canvas.
  const draw = (canvas, shade, [channels, height, width]) => {
    [canvas.width, canvas.height] = [width, height];
    const image = new ImageData(width, height);
    for (let at = 0; at < height * width; at++) {
      for (let color = 0; color < 3; color++) {
        image.data[4 * at + color] = shade((channels >= 3 ? color : 0) * height * width + at);
      }
      image.data[4 * at + 3] = 255;
    }
    canvas.getContext('2d').putImageData(image, 0, 0);
  };

  // Shows what a decoded row holds in `output`.
  const outputOf = (data, output) => {
    if (data.image) {
      const [channels, height, width, low, high] = data.image;
      const canvas = make('canvas', output);
      return row => draw(canvas, at => Math.round(((row[at] - low) / (high - low)) * 255), [channels, height, width]);
    }
    const table = make('tbody', make('table', output));
    const cells = data.columns.map(([name]) => {
      const line = make('tr', table);
      make('th', line, name);
      return make('td', line, '', 'number');
    });
    return row => data.columns.forEach(([, kind, start, end, levels, prefix, suffix], index) => {
      const part = row.slice(start, end);
      const best = part.indexOf(Math.max(...part));
      const share = value => ` (${Math.round(100 * Math.min(Math.max(value, 0), 1))} %)`;
      const truth = part[0] >= 0.5;
      const texts = {
        number: () => prefix + short(part[0]) + suffix,
        boolean: () => (levels.length ? levels[Number(truth)] : String(truth)) + share(truth ? part[0] : 1 - part[0]),
        category: () => levels[best] + share(part[best]),
      };
      cells[index].textContent = texts[kind]();
    });
  };

  for (const figure of document.querySelectorAll('figure.code')) {
    const data = JSON.parse(figure.querySelector('script').textContent);
    const [plane, svg] = [figure.querySelector('.plane'), figure.querySelector('.plane svg')];
    const { x, y, rows } = data.points;
    const [left, top, right, bottom] = data.frame.area;
    const [x0, x1, y0, y1] = data.frame.ends;
    const pixels = rows.pixels && bytes(rows.pixels);
    const circle = (kind, radius) => {
      const element = document.createElementNS('http://www.w3.org/2000/svg', 'circle');
      element.setAttribute('class', kind);
      element.setAttribute('r', radius);
      svg.append(element);
      return element;
    };
    const put = (element, at, up) => {
      element.setAttribute('cx', at);
      element.setAttribute('cy', up);
    };
    const ring = circle('ring', 6);
    ring.style.display = 'none';
    // The place of the pointer in the units of the drawing, and the point that is nearest to it.
    const pointer = event => {
      const box = svg.getBoundingClientRect();
      return [((event.clientX - box.left) * 480) / box.width, ((event.clientY - box.top) * 400) / box.height];
    };
    const nearest = ([at, up]) => {
      let [best, least] = [-1, 10 ** 2];
      for (let row = 0; row < x.length; row++) {
        const distance = (x[row] - at) ** 2 + (y[row] - up) ** 2;
        if (distance < least) [best, least] = [row, distance];
      }
      return best;
    };

    const tip = make('div', plane, undefined, 'tip');
    tip.hidden = true;
    let shown = -1;
    const hide = () => {
      [tip.hidden, ring.style.display, shown] = [true, 'none', -1];
    };
    const hover = row => {
      if (row < 0) return hide();
      if (row === shown) return undefined;
      shown = row;
      tip.replaceChildren();
      make('b', tip, rows.names[row]);
      if (rows.labels && rows.labels[row] !== null) make('span', tip, rows.labels[row]);
      if (rows.scores) make('span', tip, `anomaly score ${short(rows.scores[row])}`);
      if (pixels) {
        const size = rows.shape[0] * rows.shape[1] * rows.shape[2];
        draw(make('canvas', tip), at => pixels[row * size + at], rows.shape);
      } else {
        const table = make('tbody', make('table', tip));
        rows.cells[row].forEach((cell, column) => {
          const line = make('tr', table);
          make('th', line, rows.columns[column]);
          make('td', line, cell === null ? '–' : cell, 'number');
        });
      }
      put(ring, x[row], y[row]);
      ring.style.display = '';
      tip.hidden = false;
      const [across, down] = [x[row] / 480, y[row] / 400].map((share, axis) =>
        share * svg.getBoundingClientRect()[axis ? 'height' : 'width']);
      tip.style.left = `${Math.min(Math.max(0, across + 14), Math.max(0, plane.clientWidth - tip.offsetWidth))}px`;
      tip.style.top = `${down + 14}px`;
      return undefined;
    };
    svg.addEventListener('pointermove', event => event.buttons === 0 && hover(nearest(pointer(event))));
    svg.addEventListener('pointerleave', hide);
    if (!data.decoder) {
      svg.addEventListener('click', event => hover(nearest(pointer(event))));
      continue;
    }

    const decode = decoderOf(data.decoder);
    const codes = data.codes && floats(data.codes);
    const [origin, first, second] = data.plane;
    const [decoded, sliders] = [figure.querySelector('.decoded'), figure.querySelector('.sliders')];
    decoded.hidden = sliders.hidden = false;
    const show = outputOf(data, decoded.querySelector('.output'));
    let code = data.start.slice();
    const handle = circle('handle', 9);
    handle.tabIndex = 0;
    handle.setAttribute('role', 'slider');
    handle.setAttribute('aria-label', 'place in the plane of the code: arrow keys move it');
    const along = axis => code.reduce((sum, value, unit) => sum + (value - origin[unit]) * axis[unit], 0);
    const controls = data.sliders.map(([unit, low, high]) => {
      const label = make('label', sliders);
      make('span', label, `unit ${unit}`);
      const input = make('input', label);
      Object.assign(input, { type: 'range', min: low, max: high, step: (high - low) / 1000 || 1 });
      const value = make('output', label);
      input.addEventListener('input', () => {
        code[unit] = Number(input.value);
        update(input);
      });
      return [unit, input, value];
    });
    const update = moved => {
      show(decode(code));
      const [at, up] = [along(first), along(second)];
      const clamp = share => Math.min(Math.max(share, 0), 1);
      put(handle, left + clamp((at - x0) / (x1 - x0)) * (right - left),
        bottom - clamp((up - y0) / (y1 - y0)) * (bottom - top));
      handle.setAttribute('aria-valuetext', `${short(at)}, ${short(up)}`);
      for (const [unit, input, value] of controls) {
        if (input !== moved) input.value = code[unit];
        value.textContent = short(code[unit]);
      }
    };
    const move = (at, up) => {
      code = origin.map((value, unit) => value + at * first[unit] + up * second[unit]);
      update();
    };
    const follow = event => {
      const [at, up] = pointer(event);
      const share = (value, low, high) => Math.min(Math.max((value - low) / (high - low), 0), 1);
      move(x0 + share(at, left, right) * (x1 - x0), y1 + share(up, top, bottom) * (y0 - y1));
    };
    let [drags, dragged] = [false, false];
    svg.addEventListener('pointerdown', event => {
      // A finger on the drawing scrolls the page, but for the circle.
      if (event.button !== 0 || (event.pointerType !== 'mouse' && event.target !== handle)) return;
      [drags, dragged] = [true, false];
      svg.setPointerCapture(event.pointerId);
    });
    svg.addEventListener('pointermove', event => {
      if (!drags) return;
      dragged = true;
      hide();
      follow(event);
    });
    ['pointerup', 'pointercancel'].forEach(name => svg.addEventListener(name, () => (drags = false)));
    svg.addEventListener('click', event => {
      if (dragged) {
        dragged = false;
        return;
      }
      const row = nearest(pointer(event));
      hover(row);
      if (row >= 0 && codes) {
        code = Array.from(codes.subarray(row * code.length, (row + 1) * code.length));
        update();
      } else follow(event);
    });
    handle.addEventListener('keydown', event => {
      const steps = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] }[event.key];
      if (!steps) return;
      event.preventDefault();
      move(along(first) + steps[0] * 0.02 * (x1 - x0), along(second) + steps[1] * 0.02 * (y1 - y0));
    });
    update();
    // For programs, and for people who open the console: the row of a code, in the units of the data.
    figure.decode = decode;
    plane.classList.add('alive');
  }
})();
