/**
 * The statements of a migration, in their order, without the semicolons that end them.
 *
 * A statement ends with a `;` at a line's end; a comment may follow it there. Lines that are comments only belong to no statement. That is all a
 * migration of ours may rely on: no stored programs, and no literal that runs over a line's end behind a semicolon.
 */
export function splitStatements(text: string): readonly string[] {
  const statements: string[] = [];
  let lines: string[] = [];
  const finish = (): void => {
    const statement = lines.join("\n").trim();
    if (statement !== "") statements.push(statement);
    lines = [];
  };
  for (const line of text.split(/\r?\n/)) {
    const code = line.replace(/(^|\s)--(\s.*)?$/, "").trimEnd();
    if (code === "" && line.trim() !== "") continue;
    lines.push(code.endsWith(";") ? code.slice(0, -1) : line);
    if (code.endsWith(";")) finish();
  }
  finish();
  return statements;
}
