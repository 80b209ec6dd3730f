// Orders, and who may read: the token is kept for this tab alone.
import { $, make, named, set } from "./words.js";

const KEY = "holdfast-token";

// A link may bring the token, behind the # that no server is sent.
const brought = /^#token=(.+)$/.exec(location.hash);
if (brought) {
  sessionStorage.setItem(KEY, decodeURIComponent(brought[1]));
  history.replaceState(null, "", location.pathname + location.search);
}

export const headers = (more) => {
  const token = sessionStorage.getItem(KEY);
  return token ? { ...more, Authorization: "Bearer " + token } : more;
};

export const login = () => new Promise((done) => {
  $("login").querySelector("form").onsubmit = (e) => {
    e.preventDefault();
    sessionStorage.setItem(KEY, $("token").value);
    $("token").value = "";
    $("login").close();
  };
  $("login").onclose = done;
  $("login").showModal();
});

const BREAKER = ["trip", "reset", "force-open", "force-closed", "auto", "shadow-on", "shadow-off"];
const WITH_SETTINGS = new Set(["settings", "candidate"]);
const ABOUT = {
  "eject": "take it out; it is probed, and comes back when it is well",
  "readmit": "take it back now",
  "hold": "no calls while another can take them, however well it is",
  "release": "end a hold",
  "settings": "put these into force: what is named changes",
  "candidate": "run what is in force with these changes beside it, and see what it would do",
  "candidate-off": "end the candidate",
  "candidate-adopt": "put the candidate into force",
  "trip": "open the breaker once", "reset": "close it", "force-open": "keep it open", "force-closed": "keep it closed", "auto": "end forcing",
  "shadow-on": "let it reject nothing", "shadow-off": "let it reject",
};

// ask opens the dialog for an order to a service, or to one of its nodes.
export const ask = (s, n) => {
  const orders = n ? ["eject", "readmit", "hold", "release", ...(n.ownRule ? BREAKER : [])]
    : ["settings", "candidate", ...(s.candidate ? ["candidate-off", "candidate-adopt"] : []), ...(s.breaker ? BREAKER : [])];
  set($("order-title"), n ? `${named(s)}: ${n.id || "the node"}` : named(s));
  $("order-do").replaceChildren(...orders.map((o) => make("option", { value: o }, o)));
  $("order-settings").value = JSON.stringify(s.settings, null, 2);
  set($("order-error"), "");
  $("order-why").value = "";
  const choose = () => {
    $("order-settings-label").hidden = !WITH_SETTINGS.has($("order-do").value);
    set($("order-about"), ABOUT[$("order-do").value] || "");
  };
  $("order-do").onchange = choose;
  choose();
  $("order-cancel").onclick = () => $("order").close();
  $("order").querySelector("form").onsubmit = async (e) => {
    e.preventDefault();
    const order = { service: s.name, do: $("order-do").value, why: $("order-why").value };
    if (n) order.node = n.id;
    try {
      if (WITH_SETTINGS.has(order.do)) order.settings = JSON.parse($("order-settings").value);
      const resp = await fetch("steer", { method: "POST", headers: headers({ "Content-Type": "application/json" }), body: JSON.stringify(order) });
      if (resp.status === 401) { await login(); return; }
      if (!resp.ok) throw new Error(await resp.text());
      $("order").close();
    } catch (err) {
      set($("order-error"), err.message);
    }
  };
  $("order").showModal();
};
