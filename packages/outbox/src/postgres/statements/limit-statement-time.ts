/** Lets each of the transaction's next statements take $1 milliseconds, given as text; then it fails with 57014. One row, without meaning. */
export const limitStatementTime = "select set_config('statement_timeout', $1, true)";
