/**
 * Whether there is a table of the name $1, quoted and with its schema.
 *
 * Always one row. Asks the catalogue only.
 */
export const findTable = "select to_regclass($1) is not null as is_there";
