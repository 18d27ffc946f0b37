/** Lets ?1 seconds pass. A row that says nothing. */
export const pause = "select sleep(?) as paused";
