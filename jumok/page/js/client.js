// The page's side of the worker: starts it, or works in the page itself where workers are forbidden; asks, and hears answers.

// code: the worker's source; models: [{facts, block}]; wasm: bytes. Resolves to {ask, drop} when the models are ready.
export async function connect(code, wasm, models) {
  const answers = new Map();
  let number = 0, ready, failed;
  const started = new Promise((yes, no) => ([ready, failed] = [yes, no]));
  const hear = (message) => {
    if (message.kind === "ready") ready();
    else if (message.kind === "failed") failed(new Error(message.message));
    else if (answers.get(message.lane)?.number === message.question) answers.get(message.lane).hear(message);
  };
  const post = (await worker(code, hear)) ?? inPage(code, hear);
  post({ op: "boot", wasm, list: models });
  await started;
  return {
    // Asks; of each lane only answers to the newest question are heard.
    ask(lane, question, hear) {
      answers.set(lane, { number: ++number, hear });
      post({ ...question, lane, question: number });
    },
    drop(lane) {
      answers.delete(lane);
      post({ op: "drop", lane });
    },
  };
}

// A worker that has said that it lives; null where the browser or a policy forbids it.
function worker(code, hear) {
  return new Promise((done) => {
    try {
      const url = URL.createObjectURL(new Blob([code], { type: "text/javascript" }));
      const made = new Worker(url);
      const given = setTimeout(() => done(null), 3000);
      made.onerror = () => done(null);
      made.onmessage = ({ data }) => {
        if (data.kind !== "alive") return hear(data);
        clearTimeout(given);
        URL.revokeObjectURL(url);
        done((message) => made.postMessage(message));
      };
    } catch {
      done(null);
    }
  });
}

// The worker's source as a script of the page.
function inPage(code, hear) {
  const script = document.createElement("script");
  script.textContent = code;
  document.head.append(script);
  const answer = globalThis.jumokServe((message) => queueMicrotask(() => hear(message)));
  return (message) => void answer(message);
}
