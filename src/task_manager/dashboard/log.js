// Lines of a log: appended as they come, followed as long as the reader is at the end.
const MOST = 20000;
const CHUNK = 200;
export default {
  props: { name: String },
  template: `
    <div class="log" tabindex="0" role="log" aria-live="off" :aria-label="name" ref="box" @scroll.passive="scrolled"></div>`,
  data: () => ({ following: true, lines: 0 }),
  methods: {
    scrolled() {
      const box = this.$refs.box;
      const following = box.scrollHeight - box.scrollTop - box.clientHeight < 24;
      if (following !== this.following) {
        this.following = following;
        this.$emit("following", following);
      }
    },
    follow(on) {
      this.following = on;
      if (on) this.toEnd();
    },
    toEnd() {
      this.$refs.box.scrollTop = this.$refs.box.scrollHeight;
    },
    clear() {
      this.$refs.box.replaceChildren();
      this.lines = 0;
    },
    append(lines) {
      const box = this.$refs.box;
      for (const [number, text] of lines) {
        const last = box.lastElementChild?.lastElementChild;
        if (last?.dataset.number === String(number)) {
          last.textContent = text; // It had been read before its end was written.
          continue;
        }
        if (this.lines % CHUNK === 0) {
          box.lastElementChild?.classList.add("full");
          const chunk = document.createElement("div");
          chunk.className = "log-chunk";
          box.append(chunk);
        }
        const line = document.createElement("div");
        line.className = "log-line";
        line.dataset.number = number;
        line.textContent = text;
        box.lastElementChild.append(line);
        this.lines += 1;
      }
      while (box.childElementCount > MOST / CHUNK) box.firstElementChild.remove();
      if (this.following) this.toEnd();
    },
  },
};
