/**
 * Which server answers, as an expression: MySQL's uuid, or MariaDB's host name, port and server id. One text for both: each runs its own
 * kind of comment and ignores the other's.
 *
 * Part of every fenced write, because a proxy may change the server under a living connection.
 */
export const serverIdentity = "/*!80000 @@server_uuid */ /*M! concat(@@hostname, ':', @@port, '/', @@server_id) */";
