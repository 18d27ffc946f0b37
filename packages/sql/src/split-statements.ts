/**
 * The statements of a migration, in their order, without what ends them.
 *
 * A statement ends with a `;` at a line's end; a comment may follow it there. Lines that are comments only belong to no statement. Between a line
 * `delimiter //` and a line `delimiter ;` statements end with `//` instead, which is how the `mysql` client reads stored programs, too. That is all
 * a migration of ours may rely on: no literal that runs over a line's end behind a delimiter.
 */
export function splitStatements(text: string): readonly string[] {
  const statements: string[] = [];
  let lines: string[] = [];
  let delimiter = ";";
  const finish = (): void => {
    const statement = lines.join("\n").trim();
    if (statement !== "") statements.push(statement);
    lines = [];
  };
  for (const line of text.split(/\r?\n/)) {
    const code = line.replace(/(^|\s)--(\s.*)?$/, "").trimEnd();
    if (code === "" && line.trim() !== "") continue;
    const changed = /^delimiter (\S+)$/i.exec(code)?.[1];
    if (changed !== undefined) {
      delimiter = changed;
      continue;
    }
    lines.push(code.endsWith(delimiter) ? code.slice(0, -delimiter.length) : line);
    if (code.endsWith(delimiter)) finish();
  }
  finish();
  return statements;
}
