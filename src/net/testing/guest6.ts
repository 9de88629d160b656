/** For tests: a guest of a NAT with IPv6, and who is who there. Addresses are text. */
import { TestGuest, type TestGuestOptions } from "./guest.ts";

export const prefix = "fd17:625c:f037:2::";
export const gateway = `${prefix}2`;
export const nameServer = `${prefix}3`;
export const routerLinkLocal = "fe80::5054:ff:fe12:3502";
/** Somewhere outside. */
export const server = "2001:db8::7";
export const ipv6 = { prefix: `${prefix}/64`, isDefaultRouter: true, loopbackHost: 0 };

export const guestWith = (options: TestGuestOptions = {}): TestGuest =>
  new TestGuest({ ...options, config: { ipv6, ...options.config } });
