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
const TYPING_PAUSE = 200; // milliseconds
const COPIED_TIME = 2_000; // milliseconds
const SUBSCRIBE_TIMEOUT = 2_000; // milliseconds until the refresh starts without progress

const find = (selector) => document.querySelector(selector);

// --- the page itself ---

let loading = new AbortController(); // only the latest one is shown

/** Replace the parts of the page that show data by those of a URL. */
async function load(url) {
  loading.abort();
  loading = new AbortController();
  const { signal } = loading;
  let text;
  try {
    const response = await fetch(url, { headers: { Accept: "text/html" }, signal });
    if (response.status === 400) throw new Error("The URL has a wrong parameter."); // the server's page says which
    text = await response.text();
  } catch (error) {
    if (signal.aborted) return;
    throw error;
  }
  const page = new DOMParser().parseFromString(text, "text/html");
  for (const old of document.querySelectorAll("[data-part]")) {
    const part = page.querySelector(`[data-part="${old.dataset.part}"]`);
    if (part) old.replaceWith(document.adoptNode(part));
  }
  showAges();
}

/** Update the ages of the data, in the words of format_age in utils/formatting.py. */
function showAges() {
  const format = new Intl.RelativeTimeFormat("en");
  for (const time of document.querySelectorAll("time")) {
    const minutes = Math.floor((Date.now() - Date.parse(time.dateTime)) / MINUTE);
    const [length, unit] =
      minutes >= 1440 ? [1440, "day"] : minutes >= 60 ? [60, "hour"] : [1, "minute"];
    time.textContent =
      minutes < 1 ? "just now" : format.format(-Math.floor(minutes / length), unit);
  }
}

async function sort(event) {
  const link = event.target.closest("th a");
  if (!link || event.metaKey || event.ctrlKey || event.shiftKey || event.button) return;
  event.preventDefault();
  clearTimeout(typing);
  const url = buildUrl(new URL(link.href).searchParams);
  try {
    await load(url);
  } catch {
    location.assign(url);
    return;
  }
  history.pushState(null, "", url);
  find(`[data-sort="${link.dataset.sort}"]`)?.focus();
}

async function reloadUntilLoaded() {
  while (find("[data-empty]")) {
    await new Promise((done) => setTimeout(done, RELOAD_INTERVAL));
    await load(location.href).catch(() => {}); // tries again
  }
}

// --- the filter ---

const filterForm = find("#filter");
let typing; // the timer of the filter

/** Return the page's URL with these query parameters in place of those of the form. */
function buildUrl(params) {
  const url = new URL(location.href);
  for (const [name, value] of new FormData(filterForm)) {
    if (name === "q" || name === "region") params.set(name, value);
  }
  for (const name of ["q", "region"]) if (!params.get(name)) params.delete(name);
  url.search = params;
  return url;
}

/** Show the countries that the server finds. */
async function filter() {
  clearTimeout(typing);
  const url = buildUrl(new URLSearchParams(location.search));
  history.replaceState(null, "", url);
  await load(url);
  const count = find("[data-count]").textContent;
  const isFiltered = url.searchParams.has("q") || url.searchParams.has("region");
  filterForm.querySelector("[role=status]").textContent = isFiltered ? count : "";
}

function filterSoon() {
  clearTimeout(typing);
  typing = setTimeout(() => filter().catch(() => filterForm.submit()), TYPING_PAUSE);
}

/** Show what the browser's history returns to. */
function goBack() {
  const params = new URLSearchParams(location.search);
  for (const name of ["q", "region"]) filterForm.elements[name].value = params.get(name) ?? "";
  return load(location.href);
}

// --- the address ---

async function copy({ currentTarget }) {
  await navigator.clipboard.writeText(document.getElementById(currentTarget.dataset.copy).textContent);
  currentTarget.textContent = "Copied";
  setTimeout(() => (currentTarget.textContent = "Copy"), COPIED_TIME);
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
    else if (errors) {
      await load(location.href); // it shows the failure too
      showStatus(errors[0].message, "error");
    } else {
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
addEventListener("popstate", goBack);
filterForm.addEventListener("input", filterSoon);
filterForm.addEventListener("submit", (event) => {
  event.preventDefault();
  filterSoon();
});
for (const copyButton of document.querySelectorAll("[data-copy]")) {
  copyButton.hidden = !navigator.clipboard; // which plain HTTP lacks
  copyButton.addEventListener("click", copy);
}
button.addEventListener("click", refresh);
form.addEventListener("submit", submit);
showAges();
setInterval(showAges, MINUTE / 2);
reloadUntilLoaded();
