/** What a page plays, recorded beside its loudspeakers. */

/** Records what reaches the loudspeakers: a node beside them in every graph. */
export const recorder = `
  window.heard = [];
  window.rates = [];
  window.rises = 0;
  window.last = 0;
  const connect = AudioNode.prototype.connect;
  const code = 'registerProcessor("recorder", class extends AudioWorkletProcessor { process([input]) { if (input.length === 2 && input.some((one) => one.some(Boolean))) this.port.postMessage([input[0].slice(), input[1].slice()]); return true; } })';
  AudioNode.prototype.connect = function (target, ...rest) {
    if (target === this.context.destination) {
      window.rates.push(this.context.sampleRate);
      this.context.audioWorklet.addModule(URL.createObjectURL(new Blob([code], { type: "text/javascript" }))).then(() => {
        const node = new AudioWorkletNode(this.context, "recorder");
        node.port.onmessage = ({ data: [left, right] }) => {
          for (let i = 0; i < left.length; i++) {
            if (left[i] > 0.1 && window.last <= 0.1) window.rises++;
            window.last = left[i];
            if (left[i] !== 0 || right[i] !== 0) window.heard.push(left[i] * 32768, right[i] * 32768);
          }
        };
        connect.call(this, node);
        window.isRecording = true;
      });
    }
    return connect.call(this, target, ...rest);
  };
`;
