// The forward pass of a small net: convolution, pooling, linear layers, activations. Batch normalisation comes folded
// into the layer before it. Sums are kept in double precision, so they are at least as exact as float32 training was.

const Net = (() => {
  function decode(text) {
    const bytes = Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
    return new Float32Array(bytes.buffer);
  }

  const ARRAYS = ["weight", "bias", "factor", "shift"];

  /** Return the net with its numbers decoded. */
  function read(packed) {
    const operations = packed.operations.map((operation) => {
      const read = { ...operation };
      for (const name of ARRAYS) if (operation[name] !== undefined) read[name] = decode(operation[name]);
      return read;
    });
    return { ...packed, operations };
  }

  /** Return pixels (0 to 255, channel by channel) as the net's input: mean 0 and deviation 1 over the training images. */
  function normalise(net, pixels) {
    const [channels, rows, columns] = net.input_shape;
    const size = rows * columns;
    const values = new Float64Array(channels * size);
    for (let index = 0; index < values.length; index += 1) {
      const channel = Math.floor(index / size);
      values[index] = (pixels[index] / 255 - net.mean[channel]) / net.deviation[channel];
    }
    return { shape: net.input_shape, values };
  }

  function outputSize(operation, shape) {
    return [0, 1].map((axis) => {
      const reach = operation.dilation[axis] * (operation.kernel[axis] - 1) + 1;
      return Math.floor((shape[axis + 1] + 2 * operation.padding[axis] - reach) / operation.stride[axis]) + 1;
    });
  }

  /** Call visit(from, to) for every output position whose kernel tap (tapRow, tapColumn) lies inside the input plane. */
  function eachPosition(operation, shape, size, tapRow, tapColumn, visit) {
    const [, rows, columns] = shape;
    for (let row = 0; row < size[0]; row += 1) {
      const fromRow = row * operation.stride[0] - operation.padding[0] + tapRow * operation.dilation[0];
      if (fromRow < 0 || fromRow >= rows) continue;
      for (let column = 0; column < size[1]; column += 1) {
        const fromColumn = column * operation.stride[1] - operation.padding[1] + tapColumn * operation.dilation[1];
        if (fromColumn < 0 || fromColumn >= columns) continue;
        visit(fromRow * columns + fromColumn, row * size[1] + column);
      }
    }
  }

  function convolution(operation, { shape, values }) {
    const size = outputSize(operation, shape);
    const plane = size[0] * size[1];
    const inputPlane = shape[1] * shape[2];
    const [kernelRows, kernelColumns] = operation.kernel;
    const channels = operation.bias.length;
    const inputs = shape[0] / operation.groups;
    const out = new Float64Array(channels * plane);
    for (let channel = 0; channel < channels; channel += 1) {
      out.fill(operation.bias[channel], channel * plane, (channel + 1) * plane);
      const firstInput = Math.floor(channel / (channels / operation.groups)) * inputs;
      for (let input = 0; input < inputs; input += 1) {
        const source = values.subarray((firstInput + input) * inputPlane, (firstInput + input + 1) * inputPlane);
        const target = out.subarray(channel * plane, (channel + 1) * plane);
        for (let tapRow = 0; tapRow < kernelRows; tapRow += 1) {
          for (let tapColumn = 0; tapColumn < kernelColumns; tapColumn += 1) {
            const place = ((channel * inputs + input) * kernelRows + tapRow) * kernelColumns + tapColumn;
            const weight = operation.weight[place];
            eachPosition(operation, shape, size, tapRow, tapColumn, (from, to) => {
              target[to] += weight * source[from];
            });
          }
        }
      }
    }
    return { shape: [channels, ...size], values: out };
  }

  function pooling(operation, { shape, values }, start, combine, finish) {
    const size = outputSize(operation, shape);
    const plane = size[0] * size[1];
    const inputPlane = shape[1] * shape[2];
    const out = new Float64Array(shape[0] * plane).fill(start);
    for (let channel = 0; channel < shape[0]; channel += 1) {
      const source = values.subarray(channel * inputPlane, (channel + 1) * inputPlane);
      const target = out.subarray(channel * plane, (channel + 1) * plane);
      for (let tapRow = 0; tapRow < operation.kernel[0]; tapRow += 1) {
        for (let tapColumn = 0; tapColumn < operation.kernel[1]; tapColumn += 1) {
          eachPosition(operation, shape, size, tapRow, tapColumn, (from, to) => {
            target[to] = combine(target[to], source[from]);
          });
        }
      }
    }
    return { shape: [shape[0], ...size], values: finish ? out.map(finish) : out };
  }

  function linear(operation, { values }) {
    const out = Float64Array.from(operation.bias);
    for (let feature = 0; feature < out.length; feature += 1) {
      for (let input = 0; input < values.length; input += 1) {
        out[feature] += operation.weight[feature * values.length + input] * values[input];
      }
    }
    return { shape: [out.length], values: out };
  }

  function scale(operation, { shape, values }) {
    const plane = values.length / shape[0];
    const scaled = values.map((value, index) => {
      const channel = Math.floor(index / plane);
      return value * operation.factor[channel] + operation.shift[channel];
    });
    return { shape, values: scaled };
  }

  // Abramowitz and Stegun, Handbook of Mathematical Functions, 7.1.26: off by less than 1.5e-7.
  function erf(x) {
    const t = 1 / (1 + 0.3275911 * Math.abs(x));
    const series = ((((1.061405429 * t - 1.453152027) * t + 1.421413741) * t - 0.284496736) * t + 0.254829592) * t;
    return Math.sign(x) * (1 - series * Math.exp(-x * x));
  }

  const each = (change) => (_, { shape, values }) => ({ shape, values: values.map(change) });

  const RUN = {
    convolution,
    linear,
    scale,
    flatten: (_, { values }) => ({ shape: [values.length], values }),
    relu: each((value) => Math.max(value, 0)),
    silu: each((value) => value / (1 + Math.exp(-value))),
    gelu: each((value) => 0.5 * value * (1 + erf(value / Math.SQRT2))),
    "max-pool": (operation, input) => pooling(operation, input, -Infinity, Math.max),
    "average-pool": (operation, input) => {
      // As in torch, what is padded counts.
      const count = operation.kernel[0] * operation.kernel[1];
      return pooling(operation, input, 0, (sum, value) => sum + value, (sum) => sum / count);
    },
  };

  /** Return what every operation puts out, in order: the last one's values are the logits. */
  function forward(net, pixels) {
    let current = normalise(net, pixels);
    return net.operations.map((operation) => {
      current = RUN[operation.kind](operation, current);
      return { ...current, operation };
    });
  }

  const logits = (net, pixels) => Array.from(forward(net, pixels).at(-1).values);

  function softmax(values) {
    const largest = Math.max(...values);
    const exponentials = Array.from(values, (value) => Math.exp(value - largest));
    const sum = exponentials.reduce((total, value) => total + value, 0);
    return exponentials.map((value) => value / sum);
  }

  return { read, forward, logits, softmax };
})();
