// What the landing page can do more where scripts run: sort in place, filter, refresh and watch.

const TOKEN = "graphql-api token";
const REFRESH = `mutation {
  refreshCountries {
    totalCountries inserted updated unchanged
    timings { totalMs }
    sources { kind provider live }
  }
}`;
const PROGRESS = "subscription { refreshProgress { phase fraction message } }";
const MINUTE = 60_000;
const AGAIN = 2_000; // milliseconds until a page without countries is asked for again
const PATIENCE = 2_000; // milliseconds that a refresh waits for somebody to tell how far it is

const find = (selector) => document.querySelector(selector);

// --- the page itself ---

/** Take the parts that show data from another state of this page. */
async function load(url) {
  const response = await fetch(url, { headers: { Accept: "text/html" } });
  const page = new DOMParser().parseFromString(await response.text(), "text/html");
  for (const old of document.querySelectorAll("[data-part]")) {
    const part = page.querySelector(`[data-part="${old.dataset.part}"]`);
    if (part) old.replaceWith(document.adoptNode(part));
  }
  tellAge();
  filter();
}

/** Say how old the data are now, in the words that the server has for it. */
function tellAge() {
  const time = find("time");
  if (!time) return;
  const minutes = Math.floor((Date.now() - Date.parse(time.dateTime)) / MINUTE);
  const [length, unit] =
    minutes >= 1440 ? [1440, "day"] : minutes >= 60 ? [60, "hour"] : [1, "minute"];
  const words = new Intl.RelativeTimeFormat("en");
  time.textContent =
    minutes < 1 ? "just now" : words.format(-Math.floor(minutes / length), unit);
}

async function sort(event) {
  const link = event.target.closest("th a");
  if (!link || event.metaKey || event.ctrlKey || event.shiftKey || event.button) return;
  event.preventDefault();
  try {
    await load(link.href);
  } catch {
    location.assign(link.href);
    return;
  }
  history.pushState(null, "", link.href);
  find(`[data-sort="${link.dataset.sort}"]`)?.focus();
}

async function loadUntilThereIsData() {
  while (find("[data-empty]")) {
    await new Promise((done) => setTimeout(done, AGAIN));
    await load(location.href).catch(() => {}); // the next time may do better
  }
}

// --- the filter ---

const LETTERS = { ø: "o", đ: "d", ð: "d", ł: "l", ħ: "h", þ: "th", æ: "ae", œ: "oe", ı: "i" };

/** Return a text as people compare it: without regard to case, accents or kind of apostrophe. */
const fold = (text) =>
  text
    .toLowerCase()
    .normalize("NFKD")
    .replace(/\p{M}/gu, "")
    .replace(/[øđðłħþæœı]/g, (letter) => LETTERS[letter])
    .replace(/[‘’‛ʻʼʹ`´＇]/g, "'")
    .replace(/\s+/g, " ");

const textOf = (row) => (row.folded ??= fold([...row.cells].map((cell) => cell.textContent).join(" ")));

function filter() {
  const words = fold(find("#words").value).split(" ").filter(Boolean);
  const rows = [...document.querySelectorAll("tbody tr")];
  let shown = 0;
  for (const row of rows) {
    row.hidden = !words.every((word) => textOf(row).includes(word));
    shown += !row.hidden;
  }
  find("#filter [role=status]").textContent = words.length ? `${shown} of ${rows.length}` : "";
}

// --- the refresh ---

const endpoint = new URL("graphql", document.baseURI);
const panel = find("#refresh");
const [button, form, bar] = ["button", "form", "progress"].map((name) => panel.querySelector(name));

function say(text, isError = false) {
  const status = panel.querySelector("[role=status]");
  status.textContent = text;
  status.classList.toggle("error", isError);
}

/** Follow refreshes; resolves, once it does or cannot, to what ends it. */
function watch(token, onProgress) {
  return new Promise((ready) => {
    const socket = new WebSocket(endpoint.href.replace(/^http/, "ws"), "graphql-transport-ws");
    const send = (message) => socket.send(JSON.stringify(message));
    const stop = () => socket.close(1000);
    const answers = {
      connection_ack() {
        send({ id: "1", type: "subscribe", payload: { query: PROGRESS } });
        ready(stop);
      },
      ping: () => send({ type: "pong" }),
      next: ({ payload }) => payload.data && onProgress(payload.data.refreshProgress),
    };
    socket.onopen = () =>
      send({ type: "connection_init", payload: token ? { Authorization: `Bearer ${token}` } : {} });
    socket.onmessage = ({ data }) => {
      const message = JSON.parse(data);
      answers[message.type]?.(message);
    };
    socket.onclose = () => ready(stop);
    setTimeout(() => ready(stop), PATIENCE);
  });
}

async function ask(token) {
  const headers = { "Content-Type": "application/json" };
  if (token) headers.Authorization = `Bearer ${token}`;
  const body = JSON.stringify({ query: REFRESH });
  const response = await fetch(endpoint, { method: "POST", headers, body });
  return response.json();
}

function tell({ totalCountries, inserted, updated, unchanged, timings, sources }) {
  const bundled = sources.filter((source) => !source.live).map((source) => source.kind.toLowerCase());
  return (
    `Refreshed ${totalCountries} countries in ${(timings.totalMs / 1000).toFixed(2)} s: ` +
    `${inserted} new, ${updated} changed, ${unchanged} unchanged.` +
    (bundled.length ? ` Not asked anew: ${bundled.join(" and ")}.` : "")
  );
}

function showProgress({ fraction, message }) {
  bar.value = fraction;
  say(message);
}

function askForToken(wrong) {
  sessionStorage.removeItem(TOKEN);
  form.hidden = false;
  button.hidden = true;
  form.token.value = "";
  form.token.focus();
  say(wrong ? "That is not the token." : "A refresh needs the token.", wrong);
}

async function refresh() {
  const token = sessionStorage.getItem(TOKEN);
  button.disabled = true;
  form.hidden = true;
  button.hidden = false;
  bar.hidden = false;
  bar.removeAttribute("value");
  say("Refreshing…");
  const stop = await watch(token, showProgress);
  try {
    const { data, errors } = await ask(token);
    stop();
    if (errors?.[0].extensions.code === "UNAUTHENTICATED") askForToken(token !== null);
    else if (errors) say(errors[0].message, true);
    else {
      bar.value = 1;
      await load(location.href);
      say(tell(data.refreshCountries));
    }
  } catch {
    stop();
    say("The server did not answer. What is shown is what it said before.", true);
  }
  bar.hidden = true;
  button.disabled = false;
}

function submit(event) {
  event.preventDefault();
  sessionStorage.setItem(TOKEN, form.token.value.trim());
  refresh();
}

find("main").addEventListener("click", sort);
addEventListener("popstate", () => load(location.href));
find("#words").addEventListener("input", filter);
find("#filter").hidden = false;
button.addEventListener("click", refresh);
form.addEventListener("submit", submit);
panel.hidden = false;
tellAge();
setInterval(tellAge, MINUTE / 2);
loadUntilThereIsData();
