// Enhances the world map: shows the name and the value of the country under the pointer, or that the arrow keys chose.

const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
const SIDEWAYS = 3; // how much farther a country seems for each unit that it lies beside the arrow's direction
const HINT = matchMedia("(hover: none)").matches
  ? "Touch a country to open its page."
  : "Point at a country for its value, or move with the arrow keys.";
const LABEL = "World map. The arrow keys move between countries, and Enter opens one.";

const view = document.querySelector(".world-view");
const value = document.querySelector(".world-value");
let current = null;

/** Show a link of the map, or none. */
function show(link) {
  current = link;
  value.textContent = link?.querySelector("title").textContent ?? HINT;
  const shape = link?.lastElementChild;
  const marker = view.querySelector(".marker");
  marker.setAttribute("d", shape ? outline(shape) : "");
}

/** Return the path around a shape. Dots are circles. */
function outline(shape) {
  if (shape.hasAttribute("d")) return shape.getAttribute("d");
  const [x, y] = ["cx", "cy"].map((name) => shape.getAttribute(name));
  const r = parseFloat(getComputedStyle(shape).r);
  return `M${x - r} ${y}a${r} ${r} 0 1 0 ${2 * r} 0a${r} ${r} 0 1 0 ${-2 * r} 0z`;
}

function middle(link) {
  const box = link.lastElementChild.getBBox();
  return [box.x + box.width / 2, box.y + box.height / 2];
}

/** Return the nearest link in the direction of an arrow; the current one at the edge. */
function neighbour([right, down]) {
  const [x, y] = middle(current);
  let best = current;
  let least = Infinity;
  for (const link of view.querySelectorAll("a")) {
    const [across, along] = middle(link);
    const ahead = (across - x) * right + (along - y) * down;
    const beside = Math.abs((across - x) * down) + Math.abs((along - y) * right);
    const distance = ahead + SIDEWAYS * beside;
    if (link !== current && ahead > 0 && distance < least) [best, least] = [link, distance];
  }
  return best;
}

function choose(event) {
  if (event.metaKey || event.ctrlKey || event.altKey) return;
  if (event.key in ARROWS) {
    event.preventDefault();
    show(current?.isConnected ? neighbour(ARROWS[event.key]) : view.querySelector("a"));
  } else if (event.key === "Enter" && current?.isConnected) {
    location.assign(current.href.baseVal);
  } else if (event.key === "Escape") {
    show(null);
  }
}

if (view) {
  view.tabIndex = 0;
  view.role = "group";
  view.ariaLabel = LABEL;
  show(null);
  view.addEventListener("pointerover", (event) => show(event.target.closest("a")));
  view.addEventListener("pointerleave", () => show(null));
  view.addEventListener("keydown", choose);
  view.addEventListener("focusin", (event) => show(event.target.closest("a") ?? current ?? view.querySelector("a")));
}
