// The server's interface: what is served, and one picture translated.

const RETRIES = 5; // of a server that is busy; each waits as long as it asks for

/** What went wrong, in a sentence; `status` 0: the server can't be reached. */
export class Refusal extends Error {
  constructor(status, sentence, wait = 0) {
    super(sentence);
    this.status = status;
    this.wait = wait;
  }
}

let token = "";
const told = new URLSearchParams(location.hash.slice(1)).get("token");
if (told) { // a link may bring it: what stands behind # is sent to no server
  sessionStorage.setItem("token", told);
  history.replaceState(null, "", location.pathname);
}
token = sessionStorage.getItem("token") ?? "";

export function useToken(value) {
  token = value;
  sessionStorage.setItem("token", value);
}

async function ask(address, options = {}) {
  const headers = token ? { Authorization: `Bearer ${token}` } : {};
  let reply;
  try {
    reply = await fetch(address, { ...options, headers });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Refusal(0, "The server can't be reached. Is it still running?");
  }
  if (reply.ok) return reply;
  const body = await reply.json().catch(() => ({}));
  const sentence = body.error ?? `The server answered ${reply.status}.`;
  throw new Refusal(reply.status, sentence, Number(reply.headers.get("Retry-After")) || 0);
}

/** {models, formats, max_pixels, max_bytes, timeout} */
export async function served() {
  return (await ask("/v1/models")).json();
}

/** The translation as a Blob; `onWait(seconds)` is told when a busy server lets us wait. */
export async function translate(picture, { model, direction, format }, signal, onWait) {
  const query = new URLSearchParams({ model, direction });
  if (format) query.set("format", format);
  for (let tried = 0; ; tried++) {
    try {
      const reply = await ask(`/v1/translate?${query}`, { method: "POST", body: picture, signal });
      return await reply.blob();
    } catch (error) {
      if (error.status !== 429 || tried === RETRIES) throw error;
      for (let left = Math.max(1, error.wait); left > 0; left--) {
        onWait(left);
        await pause(1000, signal);
      }
    }
  }
}

export function pause(milliseconds, signal) {
  return new Promise((done, fail) => {
    const stop = () => {
      clearTimeout(timer);
      fail(new DOMException("cancelled", "AbortError"));
    };
    const timer = setTimeout(() => {
      signal?.removeEventListener("abort", stop);
      done();
    }, milliseconds);
    signal?.addEventListener("abort", stop, { once: true });
  });
}
