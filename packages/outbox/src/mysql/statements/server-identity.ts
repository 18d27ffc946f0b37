/**
 * Which server answers, as an expression: MySQL's uuid, or MariaDB's host name, port and server id. One text for both: each runs its own
 * kind of comment and ignores the other's. The relay's fenced writes compare the same.
 */
export const serverIdentity = "/*!80000 @@server_uuid */ /*M! concat(@@hostname, ':', @@port, '/', @@server_id) */";
