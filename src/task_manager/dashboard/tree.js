// Renders a tree of plain data (see views/tree.py); Vue changes only what differs from the tree before.
// The same as `changed` in views/tree_difference.py.
function changed(old, parts) {
  return parts.map((part) => {
    if (typeof part === "number") return old[part];
    if (typeof part === "string" || typeof part[0] === "string") return part;
    const [place, attributes, inner] = part;
    const [tag, before, ...children] = old[place];
    return [tag, attributes ?? before, ...changed(children, inner)];
  });
}

export default {
  props: { tree: Array, number: Number },
  data() {
    return { shown: Vue.markRaw(this.tree), at: this.number };
  },
  watch: {
    tree(tree) {
      this.shown = Vue.markRaw(tree);
      this.at = this.number;
    },
  },
  methods: {
    change(before, after, parts) {
      // What is in the tree already was sent before the page was there.
      if (after === this.at) return;
      if (before !== this.at) {
        this.$emit("lost");
        return;
      }
      this.shown = Vue.markRaw(changed(Vue.toRaw(this.shown), parts));
      this.at = after;
    },
    act(event, type, action) {
      if (type === "submit" || type === "drop" || event.target.closest("a[data-action]")) event.preventDefault();
      if (action.confirm && !window.confirm(action.confirm)) return;
      const target = event.currentTarget;
      const form = target.closest("form");
      const fields = form && type !== "click" ? Object.fromEntries(new FormData(form)) : null;
      const dropped = type === "drop" ? event.dataTransfer.getData("text/plain") : null;
      const value = dropped ?? (target.type === "checkbox" ? target.checked : (target.value ?? null));
      this.$emit("act", { name: action.name, data: action.data, value, fields });
    },
    draw(node) {
      if (typeof node === "string") return node;
      const [tag, { on, ...attributes }, ...children] = node;
      for (const [type, action] of Object.entries(on ?? {})) {
        attributes[`on${type[0].toUpperCase()}${type.slice(1)}`] = (event) => this.act(event, type, action);
      }
      if (on?.drop) attributes.onDragover = (event) => event.preventDefault();
      if (attributes["data-drag"]) {
        attributes.draggable = true;
        attributes.onDragstart = (event) => event.dataTransfer.setData("text/plain", attributes["data-drag"]);
      }
      return Vue.h(tag, attributes, children.map(this.draw));
    },
  },
  render() {
    return Vue.h("div", { class: "tree" }, this.shown.map(this.draw));
  },
};
