// What runs in the worker: requests come as messages, answers go as messages. In a page, it only offers `serve` (see client.js).

import { serve } from "./serve.js";

if (typeof document === "undefined") {
  const answer = serve((message) => self.postMessage(message));
  self.onmessage = (event) => answer(event.data);
  self.postMessage({ kind: "alive" });
} else globalThis.jumokServe = serve;
