/**
 * Answers and script of an unattended installation of Debian 12 (i386) from its network installer's CD: the installer brings up
 * the network, fetches the answers and the script from the host, and the script partitions the disk, installs the base
 * system (cdebootstrap, signed archive), kernel, boot loader and ssh server through a package proxy, and starts the new system.
 */

export interface Unattended {
  /** Where the host's two servers are, as the guest sees them. */
  readonly webAddress: string;
  readonly proxyAddress: string;
  readonly hostName: string;
  readonly user: string;
  readonly password: string;
  /** One line of an authorized_keys file. */
  readonly publicKey: string;
}

/** The script's last words, good or bad, on the first serial port. */
export const INSTALLED = "INSTALLATION-DONE";
export const NOT_INSTALLED = "INSTALLATION-FAILED";

/** What a person types at the CD's boot prompt. */
export function bootLine(webAddress: string): string {
  return `serial auto=true priority=critical url=http://${webAddress}/preseed.cfg`;
}

/** The installer's answers (debconf preseeding): those of its own questions until the script takes over. */
export function preseed({ hostName }: Unattended): string {
  return `d-i debian-installer/locale string en_US.UTF-8
d-i keyboard-configuration/xkb-keymap select us
d-i netcfg/choose_interface select auto
d-i netcfg/get_hostname string ${hostName}
d-i netcfg/get_domain string example
d-i preseed/run string install.sh
`;
}

/** For the installer's busybox. Every step is said on the serial port. */
export function installScript(options: Unattended): string {
  const { hostName, password, proxyAddress, publicKey, user, webAddress } = options;
  return `#!/bin/sh
exec >/dev/ttyS0 2>&1
set -eu
trap 'echo ${NOT_INSTALLED} at "$step"; tail -n 20 /var/log/syslog' EXIT
step=start
# Packages would speak to the installer's debconf.
unset DEBIAN_HAS_FRONTEND DEBIAN_FRONTEND DEBCONF_REDIR DEBCONF_OLD_FD_BASE DEBCONF_FRONTEND
exec 3>&- 4>&- 5>&-
say() { step="$*"; echo "INSTALL $(cut -d. -f1 /proc/uptime) $step"; }

say tools
wget -q -O /tmp/tools.tar.gz http://${webAddress}/tools.tar.gz
tar xzf /tmp/tools.tar.gz -C /
rm /tmp/tools.tar.gz
depmod -a
modprobe ata_piix
modprobe ahci
modprobe sd_mod
modprobe ext4
udevadm settle
[ -b /dev/sda ]

say partitions
echo 'start=2048, type=83, bootable' | sfdisk --quiet --label dos /dev/sda
udevadm settle
mke2fs -q -F -t ext4 -L root /dev/sda1
mkdir -p /target
mount -t ext4 /dev/sda1 /target

say base system
export http_proxy=http://${proxyAddress}/
cdebootstrap-static --flavour=minimal --keyring=/usr/share/keyrings/debian-archive-keyring.gpg \\
  --include=systemd-sysv,dbus,udev,kmod,ifupdown,isc-dhcp-client,iproute2,iputils-ping,netbase,e2fsprogs,ca-certificates \\
  bookworm /target http://deb.debian.org/debian > /tmp/base.log || { tail -n 20 /tmp/base.log; exit 1; }

say configuration
echo ${hostName} > /target/etc/hostname
printf '127.0.0.1 localhost\\n127.0.1.1 ${hostName}.example ${hostName}\\n' > /target/etc/hosts
cp /etc/resolv.conf /target/etc/resolv.conf
echo "UUID=$(blkid -o value -s UUID /dev/sda1) / ext4 errors=remount-ro 0 1" > /target/etc/fstab
card=$(ls /sys/class/net | grep -v lo)
printf "auto lo\\niface lo inet loopback\\nauto $card\\niface $card inet dhcp\\n" > /target/etc/network/interfaces
echo 'deb http://deb.debian.org/debian bookworm main' > /target/etc/apt/sources.list
echo 'Acquire::http::Proxy "http://${proxyAddress}/";' > /target/etc/apt/apt.conf.d/10proxy
mkdir -p /target/etc/default /target/etc/initramfs-tools/conf.d
echo MODULES=dep > /target/etc/initramfs-tools/conf.d/driver-policy
printf '%s\\n' 'GRUB_TIMEOUT=1' 'GRUB_CMDLINE_LINUX="console=tty0 console=ttyS0,115200n8"' 'GRUB_TERMINAL=serial' > /target/etc/default/grub
echo 'Acquire::Languages "none";' > /target/etc/apt/apt.conf.d/20languages
mount --bind /dev /target/dev
mount -t devpts devpts /target/dev/pts
mount -t proc proc /target/proc
mount -t sysfs sys /target/sys
printf '#!/bin/sh\\nexit 101\\n' > /target/usr/sbin/policy-rc.d
chmod 755 /target/usr/sbin/policy-rc.d

say kernel, boot loader and ssh
export DEBIAN_FRONTEND=noninteractive
chroot /target apt-get -q update
chroot /target apt-get -q -y --no-install-recommends -o Dpkg::Options::=--force-confold \\
  install linux-image-686 grub-pc openssh-server > /tmp/apt.log || { tail -n 20 /tmp/apt.log; exit 1; }

say boot loader
chroot /target grub-install /dev/sda
chroot /target update-grub

say users
echo root:${password} | chroot /target chpasswd
chroot /target useradd -m -s /bin/bash ${user}
echo ${user}:${password} | chroot /target chpasswd
mkdir -m 700 /target/home/${user}/.ssh
echo '${publicKey}' > /target/home/${user}/.ssh/authorized_keys
chroot /target chown -R ${user}:${user} /home/${user}/.ssh

say end
rm /target/usr/sbin/policy-rc.d
umount /target/sys /target/proc /target/dev/pts /target/dev
umount /target
trap - EXIT
echo ${INSTALLED} after "$(cut -d. -f1 /proc/uptime)" seconds
sync
reboot -f
`;
}
