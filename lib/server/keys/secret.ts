import { createHash, randomBytes, timingSafeEqual } from 'node:crypto';

/** What is kept of a key's text: enough to know it again, and not to make it. */
export interface HashedSecret {
  readonly lookup: string;
  readonly salt: string;
  readonly hash: string;
}

/** Letters of a key that somebody else made: fewer could be guessed. */
export const shortestSecret = 32;

const sha256 = (...parts: readonly string[]): Buffer => {
  const hash = createHash('sha256');
  for (const part of parts) hash.update(part).update('\0');
  return hash.digest();
};

/** A new key: 256 random bits, so that a plain hash of it is as good as a slow one. */
export const newSecret = (): string => `sk-compact-${randomBytes(32).toString('base64url')}`;

export const lookupOf = (secret: string): string => sha256('lookup', secret).toString('hex').slice(0, 32);

export function hashSecret(secret: string): HashedSecret {
  const salt = randomBytes(16).toString('hex');
  return { lookup: lookupOf(secret), salt, hash: sha256(salt, secret).toString('hex') };
}

/** Takes as long for a wrong secret as for the right one. */
export const isSecret = (secret: string, { salt, hash }: Pick<HashedSecret, 'salt' | 'hash'>): boolean =>
  timingSafeEqual(sha256(salt, secret), Buffer.from(hash, 'hex'));
