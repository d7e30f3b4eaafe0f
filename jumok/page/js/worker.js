// What runs in the worker: requests come as messages, answers go as messages.

import { serve } from "./serve.js";

const answer = serve((message) => self.postMessage(message));
self.onmessage = (event) => answer(event.data);
self.postMessage({ kind: "alive" });
