/** What the planner prefers while a table has no statistics, and must not: it would read and sort all that is due to take a hundred. */
const costly = ["enable_bitmapscan", "enable_sort", "enable_seqscan", "enable_hashjoin", "enable_mergejoin"];
const allSet = (value: "on" | "off"): string => `select ${costly.map((name) => `set_config('${name}', '${value}', true)`).join(", ")}`;

/** Makes the planner walk the index of what is due, and look up row by row what it takes; for the rest of this transaction, or until `planFreely`. */
export const walkDueIndex: string = allSet("off");

/** As the server is set up by default. */
export const planFreely: string = allSet("on");
