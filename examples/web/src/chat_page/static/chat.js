// The page's side of the chat. Whatever came from elsewhere becomes text (textContent), never HTML.

const $ = (id) => document.getElementById(`chat-${id}`);
const chat = document.getElementById("chat");
const STORE = "chat-on-its-way";
const NO_USE_TO_RETRY = { 4401: "The chat needs a cookie. Allow cookies for this site and reload the page." };
const FULL = 4429;
const SILENCE = 40_000; // the application says something every 15 s

let socket = null;
let tries = 0;
let timer = 0;
let watch = 0;

// What this page shows: a chat, its events by their keys, and who is in it.
let shown = fresh("");
// Our messages whose fate is open, by the name that this page gave each.
const waiting = new Map();
let view = ""; // start, talk or over
let linkUp = true;
let starting = false;
let typingAt = 0;
let typingEnds = 0;

function fresh(session) {
  return { session, epoch: 0, index: 0, keys: new Set(), agents: new Map(), last: "" };
}

// The connection

function connect() {
  clearTimeout(timer);
  const scheme = location.protocol === "https:" ? "wss:" : "ws:";
  socket = new WebSocket(`${scheme}//${location.host}/chat`);
  socket.addEventListener("open", () => {
    tell({ do: "hello", session: shown.session, index: shown.index, epoch: shown.epoch });
    $("log").setAttribute("aria-busy", "true"); // what is played back is not read out
    heard();
  });
  socket.addEventListener("message", (message) => {
    tries = 0;
    heard();
    take(JSON.parse(message.data));
  });
  socket.addEventListener("close", (event) => lost(event));
}

function heard() {
  clearTimeout(watch);
  watch = setTimeout(giveUp, SILENCE);
}

// A connection that is dead on the way does not close by itself, and not at once when it is told to.
function giveUp() {
  if (socket === null) return;
  socket.close();
  lost({ target: socket });
}

function lost(event) {
  if (event.target !== socket) return;
  socket = null;
  clearTimeout(watch);
  setTyping("", false);
  const words = NO_USE_TO_RETRY[event.code] ?? (event.code === FULL ? event.reason : "");
  $("alert").textContent = words;
  showState();
  if (event.code in NO_USE_TO_RETRY) return;
  const longest = Math.min(8000, 500 * 2 ** tries++);
  timer = setTimeout(connect, event.code === FULL ? 8000 : Math.random() * longest);
}

function tell(order) {
  if (socket?.readyState === WebSocket.OPEN) socket.send(JSON.stringify(order));
}

function hurry() {
  if (socket === null && !document.hidden) connect();
}

// What the application says

function take(frame) {
  switch (frame.is) {
    case "none": return takeNone();
    case "chat": return takeChat(frame);
    case "event": return takeEvent(frame);
    case "receipt": return takeReceipt(frame);
    case "typing": return setTyping(frame.who, frame.on);
    case "link": linkUp = frame.up; return showState();
    case "ended": return takeEnd();
    case "refused": starting = false; $("alert").textContent = frame.text; return showView(view);
    case "trouble": $("alert").textContent = frame.text;
  }
}

function takeNone() {
  $("log").removeAttribute("aria-busy");
  linkUp = true;
  starting = false; // what was asked for before this connection was may never have arrived
  recall(); // of a chat that was there before a reload
  const lost = [...waiting.values()];
  for (const entry of lost) fail(entry, "The chat ended before this was confirmed.");
  showView(shown.session || lost.length ? "over" : "start");
}

function takeChat({ session }) {
  const mine = starting;
  starting = false;
  $("alert").textContent = "";
  if (session !== shown.session) {
    shown = fresh(session);
    $("events").replaceChildren();
    forgetWaiting();
  }
  showView("talk");
  recall(session);
  for (const [name, { text }] of waiting) tell({ do: "say", name, text });
  if (mine) $("text").focus();
}

function takeEvent(frame) {
  if (frame.session !== shown.session || shown.keys.has(frame.key)) return;
  shown.keys.add(frame.key);
  if (frame.index !== null) Object.assign(shown, { index: frame.index, epoch: frame.epoch });
  if (frame.role === "agent" || frame.role === "supervisor") {
    if (frame.kind === "left") shown.agents.delete(frame.who);
    else shown.agents.set(frame.who, true);
  }
  if (!frame.own && frame.kind === "message") setTyping("", false);
  if (frame.own && frame.kind === "message") shownAt(frame);
  const stay = $("log").scrollHeight - $("log").scrollTop - $("log").clientHeight > 80;
  $("events").append(draw(frame));
  scroll(stay && !frame.own);
  showState();
  settleDown();
}

function takeEnd() {
  const focused = chat.contains(document.activeElement);
  showView("over");
  if (focused) $("again").focus();
}

// Our own messages

function say(text) {
  const name = crypto.randomUUID?.() ?? Array.from(crypto.getRandomValues(new Uint32Array(4))).join("-");
  hold(name, text);
  remember();
  tell({ do: "say", name, text });
  scroll(false);
}

function hold(name, text) {
  const element = drawMessage({ who: "You", own: true, kind: "message", text, at: null });
  element.classList.add("waiting");
  const entry = { name, text, element, index: null, words: "" };
  element.append(make("p", "fate", "Sending"));
  waiting.set(name, entry);
  $("outgoing").append(element);
}

function shownAt({ index, text }) {
  // Which one it is, the receipt will tell. Until then the first with these words makes room, so that none stands twice.
  const entries = [...waiting.values()];
  const entry = entries.find((one) => one.index === index) ?? entries.find((one) => one.text === text && !one.words);
  if (entry === undefined) return;
  entry.element.remove();
  if (entry.index === index) release(entry);
}

function takeReceipt({ name, state, index, text }) {
  const entry = waiting.get(name);
  if (entry === undefined) return; // another tab's
  if (state === "sent") entry.element.querySelector(".fate").textContent = "Sent";
  if (state === "failed") fail(entry, text);
  if (state !== "delivered") return;
  entry.index = index;
  if (index <= shown.index) release(entry);
}

function fail(entry, words) {
  entry.words = words;
  waiting.delete(entry.name);
  remember();
  const fate = make("p", "fate", words);
  for (const [label, act] of [["Send again", () => say(entry.text)], ["Discard", () => {}]]) {
    const button = make("button", "quiet", label);
    button.type = "button";
    button.addEventListener("click", () => { entry.element.remove(); act(); $("text").focus(); });
    if (view === "talk" || label === "Discard") fate.append(button);
  }
  entry.element.classList.replace("waiting", "failed");
  entry.element.querySelector(".fate").replaceWith(fate);
  $("outgoing").append(entry.element);
}

function release(entry) {
  entry.element.remove();
  waiting.delete(entry.name);
  remember();
}

function forgetWaiting() {
  waiting.clear();
  $("outgoing").replaceChildren();
}

// What is on its way survives a reload of this tab. The application knows each name, and sends nothing twice.
function remember() {
  const messages = [...waiting.values()].map(({ name, text }) => ({ name, text }));
  try {
    if (messages.length) sessionStorage.setItem(STORE, JSON.stringify({ session: shown.session, messages }));
    else sessionStorage.removeItem(STORE);
  } catch { /* storage is switched off: a reload forgets them */ }
}

function recall(session = null) {
  try {
    const saved = JSON.parse(sessionStorage.getItem(STORE) ?? "{}");
    if (session !== null && saved.session !== session) return;
    for (const { name, text } of saved.messages ?? []) if (!waiting.has(name)) hold(name, text);
  } catch { /* as above */ }
}

// Drawing

function make(tag, className, text = "") {
  const element = document.createElement(tag);
  element.className = className;
  element.textContent = text;
  return element;
}

function draw(frame) {
  const happenings = {
    began: "The chat has begun",
    joined: `${frame.who} joined`,
    left: frame.own ? "You left" : `${frame.who} left`,
    renamed: `Now called ${frame.who}`,
    file: `${frame.who} sent the file ${frame.text}`,
    notice: frame.text,
    gap: "Some messages cannot be shown here",
  };
  if (frame.kind in happenings) {
    shown.last = "";
    return make("p", "happening", happenings[frame.kind]);
  }
  return drawMessage(frame);
}

function drawMessage({ who, own, kind, text, at }) {
  const element = make("div", own ? "message own" : "message");
  const by = make("p", "by", own ? "You" : who);
  if (at !== null) {
    const time = make("time", "", new Date(at).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" }));
    time.dateTime = at;
    by.append(" ", time);
    if (shown.last !== (own ? "own" : who)) element.classList.add("first");
    shown.last = own ? "own" : who;
  }
  const words = make("p", "text");
  words.dir = "auto";
  words.append(...(kind === "link" ? [link(text)] : withLinks(text)));
  element.append(by, words);
  return element;
}

function withLinks(text) {
  return text.split(/(https?:\/\/[^\s<>"']*[^\s<>"'.,;:!?)\]])/).map((part, place) => (place % 2 ? link(part) : part));
}

function link(text) {
  if (!URL.canParse(text) || !["http:", "https:"].includes(new URL(text).protocol)) return text;
  const anchor = make("a", "", text);
  anchor.href = text;
  anchor.target = "_blank";
  anchor.rel = "noopener noreferrer nofollow";
  return anchor;
}

function scroll(stay) {
  $("latest").hidden = !stay;
  if (!stay) $("log").scrollTop = $("log").scrollHeight;
}

let settling = 0;
function settleDown() {
  clearTimeout(settling);
  settling = setTimeout(() => $("log").removeAttribute("aria-busy"), 300);
}

function setTyping(who, on) {
  $("typing").textContent = on ? `${who || "Somebody"} is typing` : "";
}

function showState() {
  const agents = [...shown.agents.keys()].join(" and ");
  const [state, words] =
    socket?.readyState !== WebSocket.OPEN ? ["away", tries ? "Connection lost, trying again" : "Connecting"]
    : !linkUp ? ["away", "The chat server is out of reach, trying again"]
    : starting ? ["away", "Starting the chat"]
    : view === "start" ? ["", "Ask us anything"]
    : view === "over" ? ["", "The chat is over"]
    : agents ? ["here", `${agents} is here`.replace(/( and .*) is here/, "$1 are here")]
    : ["away", "Somebody will be with you soon"];
  chat.dataset.state = state;
  if ($("state").textContent !== words) $("state").textContent = words;
}

function showView(name) {
  view = name;
  $("start").hidden = name !== "start";
  $("say").hidden = $("leave").hidden = name !== "talk";
  $("over").hidden = name !== "over";
  $("log").hidden = name === "start";
  for (const field of $("start").elements) field.disabled = starting;
  if (name !== "talk") setTyping("", false);
  scroll(false);
  showState();
  settleDown();
}

// What the visitor does

function sayTyping(on) {
  clearTimeout(typingEnds);
  if (on) typingEnds = setTimeout(() => sayTyping(false), 4000);
  const now = Date.now();
  if (on && now - typingAt < 3000) return;
  if (on || typingAt) tell({ do: "typing", on });
  typingAt = on ? now : 0;
}

$("start").addEventListener("submit", (event) => {
  event.preventDefault();
  if (socket?.readyState !== WebSocket.OPEN) return;
  starting = true;
  $("alert").textContent = "";
  showView("start");
  // Where the visitor is, as document tells it: these become the defaults of userData.
  const page = { title: document.title.slice(0, 300), url: location.href.slice(0, 2000), referrer: document.referrer.slice(0, 2000) };
  tell({ do: "start", name: $("name").value, subject: $("subject").value, ...page });
});

$("say").addEventListener("submit", (event) => {
  event.preventDefault();
  const text = $("text").value.trim();
  $("text").value = "";
  $("text").focus();
  if (!text) return;
  sayTyping(false);
  say(text);
});

$("text").addEventListener("keydown", (event) => {
  if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
  event.preventDefault();
  $("say").requestSubmit();
});

$("text").addEventListener("input", () => sayTyping($("text").value !== ""));
$("leave").addEventListener("click", () => tell({ do: "leave" }));
$("latest").addEventListener("click", () => { scroll(false); $("log").focus(); });
$("log").addEventListener("scroll", () => {
  if ($("log").scrollHeight - $("log").scrollTop - $("log").clientHeight < 80) $("latest").hidden = true;
});
$("again").addEventListener("click", () => {
  shown = fresh("");
  $("events").replaceChildren();
  forgetWaiting();
  remember();
  showView("start");
  $("name").focus();
});
window.addEventListener("offline", giveUp);
window.addEventListener("online", hurry);
document.addEventListener("visibilitychange", hurry);

showState();
connect();
