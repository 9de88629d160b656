/** Bits and structures of the virtio network device (Virtual I/O Device 1.2, section 5.1). */

export const TYPE_NETWORK = 1;
export const CLASS_ETHERNET = 0x020000;

/** Feature bits. */
export const F_CSUM = 0;
export const F_GUEST_CSUM = 1;
export const F_MAC = 5;
export const F_HOST_TSO4 = 11;
export const F_HOST_TSO6 = 12;
export const F_MRG_RXBUF = 15;
export const F_STATUS = 16;
export const F_CTRL_VQ = 17;
export const F_CTRL_RX = 18;
export const F_CTRL_VLAN = 19;
export const F_CTRL_MAC_ADDR = 23;
export const FEATURES = [
  ...[F_CSUM, F_GUEST_CSUM, F_MAC, F_HOST_TSO4, F_HOST_TSO6, F_MRG_RXBUF],
  ...[F_STATUS, F_CTRL_VQ, F_CTRL_RX, F_CTRL_VLAN, F_CTRL_MAC_ADDR],
].reduce((bits, bit) => bits | (1 << bit), 0);

/** Queues. */
export const RECEIVE = 0;
export const TRANSMIT = 1;
export const CONTROL = 2;

/** Configuration: address, status. */
export const CONFIG_STATUS = 6;
export const CONFIG_BYTES = 8;
export const STATUS_LINK_UP = 1;

/** Header in front of each packet: flags, kind of segmentation, four 16-bit fields. */
export const HDR_FLAGS = 0;
export const HDR_GSO_TYPE = 1;
export const HDR_GSO_SIZE = 4;
export const HDR_CSUM_START = 6;
export const HDR_CSUM_OFFSET = 8;
export const HDR_NUM_BUFFERS = 10;
export const HDR_BYTES_LEGACY = 10;
export const HDR_BYTES = 12;
export const HDR_F_NEEDS_CSUM = 1;
export const HDR_F_DATA_VALID = 2;
export const GSO_TCPV4 = 1;
export const GSO_TCPV6 = 4;
export const GSO_ECN = 0x80;

/** Control commands: class, command. */
export const CTRL_RX = 0;
export const CTRL_RX_PROMISC = 0;
export const CTRL_RX_ALLMULTI = 1;
export const CTRL_MAC = 1;
export const CTRL_MAC_TABLE_SET = 0;
export const CTRL_MAC_ADDR_SET = 1;
export const CTRL_VLAN = 2;
export const CTRL_VLAN_ADD = 0;
export const CTRL_VLAN_DEL = 1;
export const CTRL_OK = 0;
export const CTRL_ERR = 1;
