/**
 * Guest OS types: VirtualBox 7.0's ids and descriptions (and the x86 ones that 7.1 and 7.2 added, because templates name
 * them), with the hardware a new VM of each type gets. Ids and descriptions are an interface. The defaults follow what
 * each system's own drivers know; where VirtualBox's are documented (Windows XP) they are the same.
 */

export interface OsTypeDefaults {
  readonly ramMiB: number;
  readonly vramMiB: number;
  readonly diskMiB: number;
  readonly nic: string;
  readonly graphics: "vboxvga" | "vmsvga" | "vboxsvga";
  readonly audioController: "ac97" | "hda" | "sb16";
  readonly audioCodec: "stac9700" | "stac9221" | "sb16";
  /** Controller of hard disks; DVD drives go on IDE unless the disks' controller is SATA. */
  readonly hdController: "ide" | "sata";
  readonly ioapic: boolean;
  readonly pae: boolean;
  readonly x2apic: boolean;
  readonly hpet: boolean;
  readonly rtcUtc: boolean;
  readonly floppy: boolean;
  readonly pointing: "ps2mouse" | "usbtablet";
  readonly keyboard: "ps2kbd" | "usbkbd";
  readonly usb: "none" | "ohci" | "ehci" | "xhci";
  readonly firmware: "bios" | "efi";
  readonly chipset: "piix3" | "ich9";
  /** What the paravirtualisation provider `default` comes to. */
  readonly paravirt: "none" | "hyperv" | "kvm" | "minimal";
}

export interface OsType {
  readonly id: string;
  readonly description: string;
  readonly familyId: string;
  readonly familyDescription: string;
  readonly is64Bit: boolean;
}

const families: Record<string, string> = {
  Other: "Other",
  Windows: "Microsoft Windows",
  Linux: "Linux",
  Solaris: "Solaris",
  BSD: "BSD",
  OS2: "IBM OS/2",
  MacOS: "Mac OS X",
};

/**
 * Family, then `id=description`. `+` after the id: a 32-bit and a 64-bit type, `-`: 32-bit with the suffix in its
 * description, `*`: 64-bit only, nothing: 32-bit without suffix.
 */
const table: readonly (readonly [family: string, types: string])[] = [
  ["Other", "Other=Other/Unknown;Other_64=Other/Unknown (64-bit)"],
  [
    "Windows",
    "Windows31=Windows 3.1;Windows95=Windows 95;Windows98=Windows 98;WindowsMe=Windows ME;WindowsNT3x=Windows NT 3.x;" +
      "WindowsNT4=Windows NT 4;Windows2000=Windows 2000;WindowsXP+=Windows XP;Windows2003+=Windows Server 2003;" +
      "WindowsVista+=Windows Vista;Windows2008+=Windows Server 2008;Windows7+=Windows 7;Windows8+=Windows 8;" +
      "Windows81+=Windows 8.1;Windows2012*=Windows Server 2012;Windows10+=Windows 10;" +
      "Windows2016*=Windows Server 2016;Windows2019*=Windows Server 2019;Windows11*=Windows 11;" +
      "Windows2022*=Windows Server 2022;Windows2025*=Windows Server 2025;WindowsNT+=Other Windows",
  ],
  [
    "Linux",
    "Linux22-=Linux 2.2;Linux24+=Linux 2.4;Linux26+=Linux 2.6 / 3.x / 4.x / 5.x;ArchLinux+=Arch Linux;Debian+=Debian;" +
      "Debian31-=Debian 3.1 Sarge;Debian4+=Debian 4.0 Etch;Debian5+=Debian 5.0 Lenny;Debian6+=Debian 6.0 Squeeze;" +
      "Debian7+=Debian 7 Wheezy;Debian8+=Debian 8 Jessie;Debian9+=Debian 9 Stretch;Debian10+=Debian 10 Buster;" +
      "Debian11+=Debian 11 Bullseye;Debian12+=Debian 12 Bookworm;Debian13*=Debian 13 Trixie;Fedora+=Fedora;" +
      "Gentoo+=Gentoo;Mandriva+=Mandriva;OpenMandriva_Lx+=OpenMandriva Lx;PCLinuxOS+=PCLinuxOS / PCLOS;" +
      "Mageia+=Mageia;Oracle+=Oracle Linux;Oracle4+=Oracle Linux 4.x;Oracle5+=Oracle Linux 5.x;" +
      "Oracle6+=Oracle Linux 6.x;Oracle7*=Oracle Linux 7.x;Oracle8*=Oracle Linux 8.x;Oracle9*=Oracle Linux 9.x;" +
      "Oracle10*=Oracle Linux 10.x;RedHat+=Red Hat;RedHat3+=Red Hat 3.x;RedHat4+=Red Hat 4.x;RedHat5+=Red Hat 5.x;" +
      "RedHat6+=Red Hat 6.x;RedHat7*=Red Hat 7.x;RedHat8*=Red Hat 8.x;RedHat9*=Red Hat 9.x;RedHat10*=Red Hat 10.x;" +
      "OpenSUSE+=openSUSE;OpenSUSE_Leap*=openSUSE Leap;OpenSUSE_Tumbleweed+=openSUSE Tumbleweed;" +
      "SUSE_LE+=SUSE Linux Enterprise;Turbolinux+=Turbolinux;Ubuntu+=Ubuntu;" +
      "Ubuntu10_LTS+=Ubuntu 10.04 LTS (Lucid Lynx);Ubuntu10+=Ubuntu 10.10 (Maverick Meerkat);" +
      "Ubuntu11+=Ubuntu 11.04 (Natty Narwhal) / 11.10 (Oneiric Ocelot);" +
      "Ubuntu12_LTS+=Ubuntu 12.04 LTS (Precise Pangolin);Ubuntu12+=Ubuntu 12.10 (Quantal Quetzal);" +
      "Ubuntu13+=Ubuntu 13.04 (Raring Ringtail) / 13.10 (Saucy Salamander);" +
      "Ubuntu14_LTS+=Ubuntu 14.04 LTS (Trusty Tahr);Ubuntu14+=Ubuntu 14.10 (Utopic Unicorn);" +
      "Ubuntu15+=Ubuntu 15.04 (Vivid Vervet) / 15.10 (Wily Werewolf);Ubuntu16_LTS+=Ubuntu 16.04 LTS (Xenial Xerus);" +
      "Ubuntu16+=Ubuntu 16.10 (Yakkety Yak);Ubuntu17+=Ubuntu 17.04 (Zesty Zapus) / 17.10 (Artful Aardvark);" +
      "Ubuntu18_LTS+=Ubuntu 18.04 LTS (Bionic Beaver);Ubuntu18+=Ubuntu 18.10 (Cosmic Cuttlefish);" +
      "Ubuntu19+=Ubuntu 19.04 (Disco Dingo) / 19.10 (Eoan Ermine);Ubuntu20_LTS*=Ubuntu 20.04 LTS (Focal Fossa);" +
      "Ubuntu20*=Ubuntu 20.10 (Groovy Gorilla);Ubuntu21*=Ubuntu 21.04 (Hirsute Hippo) / 21.10 (Impish Indri);" +
      "Ubuntu22_LTS*=Ubuntu 22.04 LTS (Jammy Jellyfish);Ubuntu22*=Ubuntu 22.10 (Kinetic Kudu);" +
      "Ubuntu23*=Ubuntu 23.04 (Lunar Lobster);Ubuntu231*=Ubuntu 23.10 (Mantic Minotaur);" +
      "Ubuntu24_LTS*=Ubuntu 24.04 LTS (Noble Numbat);Ubuntu24*=Ubuntu 24.10 (Oracular Oriole);" +
      "Ubuntu25*=Ubuntu 25.04 (Plucky Puffin);Lubuntu+=Lubuntu;Xubuntu+=Xubuntu;Xandros+=Xandros;Linux+=Other Linux",
  ],
  [
    "Solaris",
    "Solaris+=Oracle Solaris 10 5/09 and earlier;Solaris10U8_or_later+=Oracle Solaris 10 10/09 and later;" +
      "Solaris11*=Oracle Solaris 11;OpenSolaris+=OpenSolaris / Illumos / OpenIndiana",
  ],
  ["BSD", "FreeBSD+=FreeBSD;OpenBSD+=OpenBSD;NetBSD+=NetBSD"],
  [
    "OS2",
    "OS21x=OS/2 1.x;OS2Warp3=OS/2 Warp 3;OS2Warp4=OS/2 Warp 4;OS2Warp45=OS/2 Warp 4.5;OS2eCS=eComStation;" +
      "OS2ArcaOS=ArcaOS;OS2=Other OS/2",
  ],
  [
    "MacOS",
    "MacOS+=Mac OS X;MacOS106+=Mac OS X 10.6 Snow Leopard;MacOS107*=Mac OS X 10.7 Lion;" +
      "MacOS108*=Mac OS X 10.8 Mountain Lion;MacOS109*=Mac OS X 10.9 Mavericks;MacOS1010*=Mac OS X 10.10 Yosemite;" +
      "MacOS1011*=Mac OS X 10.11 El Capitan;MacOS1012*=macOS 10.12 Sierra;MacOS1013*=macOS 10.13 High Sierra",
  ],
  ["Other", "DOS=DOS;Netware=Netware;L4=L4;QNX=QNX;JRockitVE=JRockitVE;VBoxBS_64=VirtualBox Bootsector Test (64-bit)"],
];

function expand(): OsType[] {
  const types: OsType[] = [];
  for (const [familyId, list] of table) {
    for (const entry of list.split(";")) {
      const equals = entry.indexOf("=");
      const description = entry.slice(equals + 1);
      const mark = /[-+*]$/.exec(entry.slice(0, equals))?.[0];
      const id = entry.slice(0, mark ? equals - 1 : equals);
      const family = { familyId, familyDescription: families[familyId] };
      if (mark === undefined) types.push({ id, description, ...family, is64Bit: id.endsWith("_64") });
      if (mark === "+" || mark === "-") {
        types.push({ id, description: `${description} (32-bit)`, ...family, is64Bit: false });
      }
      if (mark === "+" || mark === "*") {
        types.push({ id: `${id}_64`, description: `${description} (64-bit)`, ...family, is64Bit: true });
      }
    }
  }
  return types;
}

/** All types in VirtualBox's order. */
export const osTypes: readonly OsType[] = expand();

/** Ids compare case-insensitively; a description is accepted too, as VirtualBox does. */
export function findOsType(idOrDescription: string): OsType | undefined {
  const wanted = idOrDescription.toLowerCase();
  return (
    osTypes.find(({ id }) => id.toLowerCase() === wanted) ??
    osTypes.find(({ description }) => description.toLowerCase() === wanted)
  );
}

const base: OsTypeDefaults = {
  ramMiB: 64,
  vramMiB: 4,
  diskMiB: 2048,
  nic: "Am79C973",
  graphics: "vboxvga",
  audioController: "ac97",
  audioCodec: "stac9700",
  hdController: "ide",
  ioapic: false,
  pae: false,
  x2apic: false,
  hpet: false,
  rtcUtc: false,
  floppy: false,
  pointing: "ps2mouse",
  keyboard: "ps2kbd",
  usb: "none",
  firmware: "bios",
  chipset: "piix3",
  paravirt: "none",
};

const soundBlaster = { audioController: "sb16", audioCodec: "sb16" } as const;
const intelHda = { audioController: "hda", audioCodec: "stac9221" } as const;
const windowsSata = {
  ...intelHda,
  graphics: "vboxsvga",
  nic: "82540EM",
  hdController: "sata",
  ioapic: true,
  usb: "xhci",
  pointing: "usbtablet",
  paravirt: "hyperv",
} as const;
const linuxModern = {
  ramMiB: 1024,
  vramMiB: 16,
  diskMiB: 8192,
  nic: "82540EM",
  graphics: "vmsvga",
  hdController: "sata",
  ioapic: true,
  rtcUtc: true,
  pointing: "usbtablet",
  usb: "ohci",
  audioController: "ac97",
  paravirt: "kvm",
} as const;
const unixLike = { ...linuxModern, graphics: "vboxvga", pointing: "ps2mouse", paravirt: "none" } as const;
const mac = {
  ...intelHda,
  ramMiB: 2048,
  vramMiB: 16,
  diskMiB: 20480,
  nic: "82545EM",
  hdController: "sata",
  ioapic: true,
  hpet: true,
  rtcUtc: true,
  pointing: "usbtablet",
  keyboard: "usbkbd",
  usb: "ohci",
  firmware: "efi",
  chipset: "ich9",
  paravirt: "minimal",
} as const;

/** First match counts. */
const defaults: readonly (readonly [ids: RegExp, defaults: Partial<OsTypeDefaults>])[] = [
  [/^Windows31$/, { ramMiB: 32, diskMiB: 1024, floppy: true, ...soundBlaster }],
  [/^Windows9[58]$/, { ramMiB: 64, diskMiB: 2048, floppy: true, ...soundBlaster }],
  [/^WindowsMe$/, { ramMiB: 128, diskMiB: 4096, floppy: true, usb: "ohci" }],
  [/^WindowsNT3x$/, { ramMiB: 64, vramMiB: 8, diskMiB: 100, floppy: true, ...soundBlaster }],
  [/^WindowsNT4$/, { ramMiB: 128, vramMiB: 16, diskMiB: 2048, floppy: true, ...soundBlaster }],
  [/^Windows2000$/, { ramMiB: 168, vramMiB: 16, diskMiB: 4096, floppy: true, usb: "ohci" }],
  [/^WindowsXP$/, { ramMiB: 192, vramMiB: 16, diskMiB: 10240, nic: "82543GC", pointing: "usbtablet", usb: "ohci" }],
  [
    /^(WindowsXP_64|Windows2003(_64)?)$/,
    { ramMiB: 512, vramMiB: 16, diskMiB: 20480, nic: "82543GC", ioapic: true, pointing: "usbtablet", usb: "ohci" },
  ],
  [/^Windows(Vista|2008)/, { ...windowsSata, ramMiB: 1024, vramMiB: 16, diskMiB: 25600, usb: "ohci" }],
  [/^Windows7$/, { ...windowsSata, ramMiB: 1024, vramMiB: 16, diskMiB: 32768, usb: "ohci" }],
  [/^Windows7_64$/, { ...windowsSata, ramMiB: 2048, vramMiB: 16, diskMiB: 32768, usb: "ohci" }],
  [/^Windows81?(_64)?$/, { ...windowsSata, ramMiB: 2048, vramMiB: 128, diskMiB: 40960, pae: true }],
  [/^Windows10$/, { ...windowsSata, ramMiB: 1024, vramMiB: 128, diskMiB: 51200, pae: true }],
  [/^Windows11_64$/, { ...windowsSata, ramMiB: 4096, vramMiB: 128, diskMiB: 81920, pae: true, firmware: "efi" }],
  [/^Windows(10|20)/, { ...windowsSata, ramMiB: 2048, vramMiB: 128, diskMiB: 51200, pae: true }],
  [/^WindowsNT/, { ramMiB: 512, vramMiB: 16, diskMiB: 20480, nic: "82540EM", ioapic: true, usb: "ohci" }],
  [
    /^Linux22$/,
    {
      ...unixLike,
      ramMiB: 64,
      vramMiB: 4,
      diskMiB: 2048,
      nic: "Am79C973",
      hdController: "ide",
      ioapic: false,
      usb: "none",
      floppy: true,
    },
  ],
  [/^Linux24/, { ...unixLike, ramMiB: 128, vramMiB: 16, diskMiB: 2048, hdController: "ide", usb: "none" }],
  [
    /^(Ubuntu(1[89]|2)|Debian1|Fedora|OpenSUSE_|RedHat([89]|10)_|Oracle([89]|10)_)/,
    { ...linuxModern, ramMiB: 2048, diskMiB: 25600, x2apic: true },
  ],
  [
    /^(Linux|ArchLinux|Debian|Fedora|Gentoo|Mandriva|OpenMandriva|PCLinuxOS|Mageia|Oracle|RedHat|OpenSUSE|SUSE|Turbo|Ubuntu|Lubuntu|Xubuntu|Xandros)/,
    { ...linuxModern, x2apic: true },
  ],
  [/Solaris/, { ...unixLike, ramMiB: 1024, diskMiB: 16384 }],
  [/BSD/, { ...unixLike, ramMiB: 1024, diskMiB: 16384, audioController: "ac97" }],
  [/^OS2(1x|Warp3)$/, { ramMiB: 48, diskMiB: 1024, floppy: true, ...soundBlaster }],
  [/^OS2/, { ramMiB: 128, diskMiB: 2048, floppy: true }],
  [/^MacOS/, mac],
  [/^DOS$/, { ramMiB: 32, diskMiB: 500, floppy: true, ...soundBlaster }],
  [/^Netware$/, { ramMiB: 512, diskMiB: 4096 }],
  [/^QNX$/, { ramMiB: 512, diskMiB: 4096 }],
  [/^(Other_64|VBoxBS_64)$/, { ioapic: true }],
];

/** The hardware of a new VM of that type (`createvm --default`; NIC, RTC and I/O APIC also without it). */
export function osTypeDefaults(id: string): OsTypeDefaults {
  const own = defaults.find(([ids]) => ids.test(id))?.[1] ?? {};
  const is64Bit = id.endsWith("_64");
  return {
    ...base,
    ...own,
    ...(is64Bit ? { ioapic: true } : {}),
    ...(is64Bit && own.nic === undefined ? { nic: "82540EM" } : {}),
  };
}
