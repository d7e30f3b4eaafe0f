// The tour of the lecture in English: a title and a text for each stop.

export const tourEn = {
  encoder: ["The encoder reads", "The encoder ({cell}) reads the source, one token after the other. After each it has a state h̄_s: {H} numbers. Here are your {S} states, one line each; blue is negative, and the stronger a colour, the larger the number. All of them together are the memory."],
  bottleneck: ["The bottleneck", "The decoder starts from the last state alone: h_0, {H} numbers. Without attention that is all it ever knows of the source, whether it has {S} tokens or four hundred."],
  query: ["The query", "At step {t} the decoder has read what was written so far ({before}) and has the state h_t. It serves as the query: what should I look at now?"],
  scores: ["The scores", "How well does each memory row answer the query? This model's score is {name}: {formula}. A score can be any number."],
  softmax: ["Softmax", "Softmax turns scores into shares that sum to 1: a_t(s) = exp e_t(s) / Σ exp e_t(s'). For {token}: exp({e} − {max}) / {sum} = {w}."],
  given: ["Your weights", "At this step you have set the attention yourself; the shares are yours, whatever the scores say."],
  context: ["The context", "The memory rows, weighted by these shares and added: c_t = Σ a_t(s) h̄_s. Again {H} numbers, but other ones at every step. This is what breaks the bottleneck."],
  chain: ["The chain", "This model's attention is monotonic: each token is written from one source position, and positions never go back. Before token {t} is known, the forward recursion gives p(s_t = s | y_<t) = Σ_s' p(s_(t−1) = s' | y_<t) a_t(s | s'), where a_t(s | s') = softmax over s ≥ s' of e_t(s) + j_t(s − s'); once the whole output is known, the backward recursion gives the posterior. Both are sums over all alignments."],
  readout: ["The readout", "Context and state together give a probability for each token of the target vocabulary: {formula}. The likeliest is written."],
  mixture: ["The readout", "Each position gives its own distribution, softmax(readout(h̄_s, h_t)); what is written is likeliest in their mixture, weighted by the chain."],
  forcing: ["Teacher forcing, and its gap", "In training the decoder reads the gold target, whatever it would have written. Its loss at each step is −log p(gold token). In use it reads what it wrote itself; one mistake leads it to states that it never saw. Give a gold target:"],
  limits: ["What attention gives, and what it does not", "With attention, quality no longer falls with length, gradients have a short way to every source token, and one can see where the model looked. But a weight says where it looked, not what mattered: leave tokens out (Trust), and see how far the two agree. With two models in a page, one without attention, Compare shows the bottleneck on your own source."],
};

export const tourLabelsEn = {
  step: "Step", sum: "sum {n}", lossMean: "mean loss under gold: {n}", loss: "loss",
  wouldWrite: "would write", free: "free running", forced: "under gold", noAttention: "This model has no attention: there are no scores, weights and contexts. Its bottleneck is all there is.",
  bothWays: "It reads in both directions; a state is half of each.", reversed: "It reads from the last token to the first, then </s>.",
  feeding: "This model has input feeding: it also reads the readout r_(t−1) of the step before, and so knows where it looked.",
  tied: "W_s is the table of target embeddings: the two are tied.",
  copying: "A copy gate κ_s = σ(w_m · h̄_s + w_h · h_t + b) says how much of a position's distribution goes to its own token.", kappa: "Copy gates κ_s", likely: "What is likely now",
  reached: "Where it was, p(s_(t−1) | y_<t)", jumps: "Jumps forward, j_t", arrival: "Position {at} ({token}), from {from}: {sum} = {p}",
  parts: "the largest shares", vector: "{name}: {n} numbers, the first are {list}", prior: "Before the token, p(s_t | y_<t)", posterior: "Given the whole output", sameTokens: "{n} of {all} tokens the same", empty: "Write something first.",
  nothing: "nothing yet", openTrust: "To Trust", openCompare: "To Compare",
};
