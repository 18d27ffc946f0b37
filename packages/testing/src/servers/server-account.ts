/** Whom a server runs as. Empty: as ourselves. */
export interface ServerAccount {
  readonly uid?: number;
  readonly gid?: number;
}

/** `nobody` on Linux; initdb refuses a user without a name. */
const nobody = 65_534;

/** The account a server must run as: `nobody` when we are root, which database servers refuse to be. */
export function serverAccount(): ServerAccount {
  return process.getuid?.() === 0 ? { uid: nobody, gid: nobody } : {};
}
