export interface BoundedSet {
  has(id: string): boolean;
  add(id: string): void;
  delete(id: string): void;
}

/** A set that forgets its oldest member rather than grow without end. */
export function boundedSet(membersMax: number): BoundedSet {
  const members = new Set<string>();
  return {
    has: (id) => members.has(id),
    add(id) {
      members.add(id);
      const [oldest] = members;
      if (members.size > membersMax && oldest !== undefined) members.delete(oldest);
    },
    delete: (id) => void members.delete(id),
  };
}
