// Enhances the landing page: sorts in place, filters, refreshes the data and shows the progress.

const TOKEN_KEY = "graphql-api token";
const REFRESH = `mutation {
  refreshCountries {
    totalCountries inserted updated unchanged
    timings { totalMs }
    warning
  }
}`;
const PROGRESS = "subscription { refreshProgress { phase fraction message } }";
const MINUTE = 60_000; // milliseconds
const RELOAD_INTERVAL = 2_000; // milliseconds, while the page has no countries
const SUBSCRIBE_TIMEOUT = 2_000; // milliseconds until the refresh starts without progress

const find = (selector) => document.querySelector(selector);

// --- the page itself ---

/** Replace the parts of the page that show data by those of a URL. */
async function load(url) {
  const response = await fetch(url, { headers: { Accept: "text/html" } });
  const page = new DOMParser().parseFromString(await response.text(), "text/html");
  for (const old of document.querySelectorAll("[data-part]")) {
    const part = page.querySelector(`[data-part="${old.dataset.part}"]`);
    if (part) old.replaceWith(document.adoptNode(part));
  }
  showAge();
  filter();
}

/** Update the age of the data, in the words of format_age in utils/formatting.py. */
function showAge() {
  const time = find("time");
  if (!time) return;
  const minutes = Math.floor((Date.now() - Date.parse(time.dateTime)) / MINUTE);
  const [length, unit] =
    minutes >= 1440 ? [1440, "day"] : minutes >= 60 ? [60, "hour"] : [1, "minute"];
  const format = new Intl.RelativeTimeFormat("en");
  time.textContent =
    minutes < 1 ? "just now" : format.format(-Math.floor(minutes / length), unit);
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

async function reloadUntilLoaded() {
  while (find("[data-empty]")) {
    await new Promise((done) => setTimeout(done, RELOAD_INTERVAL));
    await load(location.href).catch(() => {}); // tries again
  }
}

// --- the filter ---

const LETTERS = { ø: "o", đ: "d", ð: "d", ł: "l", ħ: "h", þ: "th", æ: "ae", œ: "oe", ı: "i" };

/** Fold case, accents, apostrophes and white space, as domain/folding.py does. */
const fold = (text) =>
  text
    .toLowerCase()
    .normalize("NFKD")
    .replace(/\p{M}/gu, "")
    .replace(/[øđðłħþæœı]/g, (letter) => LETTERS[letter])
    .replace(/[‘’‛ʻʼʹ`´＇]/g, "'")
    .replace(/\s+/g, " ");

const rowText = (row) => (row.folded ??= fold([...row.cells].map((cell) => cell.textContent).join(" ")));

function filter() {
  const words = fold(find("#words").value).split(" ").filter(Boolean);
  const rows = [...document.querySelectorAll("main tbody tr")];
  let shown = 0;
  for (const row of rows) {
    row.hidden = !words.every((word) => rowText(row).includes(word));
    shown += !row.hidden;
  }
  find("#filter [role=status]").textContent = words.length ? `${shown} of ${rows.length}` : "";
}

// --- the refresh ---

const endpoint = new URL("graphql", document.baseURI);
const panel = find("#refresh");
const [button, form, bar] = ["button", "form", "progress"].map((name) => panel.querySelector(name));

function showStatus(text, kind = "") {
  const status = panel.querySelector("[role=status]");
  status.textContent = text;
  status.className = kind;
}

/** Subscribe to progress. Resolves to a function that unsubscribes, also if the server is silent. */
function subscribeToProgress(token, onProgress) {
  return new Promise((ready) => {
    const socket = new WebSocket(endpoint.href.replace(/^http/, "ws"), "graphql-transport-ws");
    const send = (message) => socket.send(JSON.stringify(message));
    const stop = () => socket.close(1000);
    const handlers = {
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
      handlers[message.type]?.(message);
    };
    socket.onclose = () => ready(stop);
    setTimeout(() => ready(stop), SUBSCRIBE_TIMEOUT);
  });
}

async function sendRefresh(token) {
  const headers = { "Content-Type": "application/json" };
  if (token) headers.Authorization = `Bearer ${token}`;
  const body = JSON.stringify({ query: REFRESH });
  const response = await fetch(endpoint, { method: "POST", headers, body });
  return response.json();
}

function showReport({ totalCountries, inserted, updated, unchanged, timings, warning }) {
  const seconds = (timings.totalMs / 1000).toFixed(2);
  const counts = `${inserted} new, ${updated} changed, ${unchanged} unchanged`;
  if (warning) showStatus(warning, "warning");
  else showStatus(`Refreshed ${totalCountries} countries in ${seconds} s: ${counts}.`);
}

function showProgress({ fraction, message }) {
  bar.value = fraction;
  showStatus(message);
}

function requestToken(isWrong) {
  sessionStorage.removeItem(TOKEN_KEY);
  form.hidden = false;
  button.hidden = true;
  form.token.value = "";
  form.token.focus();
  showStatus(isWrong ? "Wrong token." : "A refresh requires the admin token.", isWrong ? "error" : "");
}

async function refresh() {
  const token = sessionStorage.getItem(TOKEN_KEY);
  button.disabled = true;
  form.hidden = true;
  button.hidden = false;
  bar.hidden = false;
  bar.removeAttribute("value");
  showStatus("Refreshing…");
  const stop = await subscribeToProgress(token, showProgress);
  try {
    const { data, errors } = await sendRefresh(token);
    stop();
    if (errors?.[0].extensions.code === "UNAUTHENTICATED") requestToken(token !== null);
    else if (errors) showStatus(errors[0].message, "error");
    else {
      bar.value = 1;
      await load(location.href);
      showReport(data.refreshCountries);
    }
  } catch {
    stop();
    showStatus("The server did not respond. The page shows the previous data.", "error");
  }
  bar.hidden = true;
  button.disabled = false;
}

function submit(event) {
  event.preventDefault();
  sessionStorage.setItem(TOKEN_KEY, form.token.value.trim());
  refresh();
}

find("main").addEventListener("click", sort);
addEventListener("popstate", () => load(location.href));
find("#words").addEventListener("input", filter);
find("#filter").hidden = false;
button.addEventListener("click", refresh);
form.addEventListener("submit", submit);
panel.hidden = false;
showAge();
setInterval(showAge, MINUTE / 2);
reloadUntilLoaded();
