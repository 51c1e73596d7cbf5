#!/bin/sh
# Second stage of the virtual machine: udevd, the modules of the gadgets, then the scenarios. Ends by switching off.
mkdir -p /dev/pts /dev/shm
mount -t devpts devpts /dev/pts
mount -t tmpfs tmpfs /dev/shm
busybox ip link set lo up 2>/dev/null || busybox ifconfig lo 127.0.0.1 up
cp -a "$cache/udev/udevadm" /bin/udevadm
rm -rf /lib/udev
cp -a "$cache/udev/lib" /lib/udev
# Rules about disks and networks would only cost time here.
rm -f /lib/udev/rules.d/*persistent-storage* /lib/udev/rules.d/*btrfs* /lib/udev/rules.d/*-dm* /lib/udev/rules.d/*net*
rm -f /etc/udev/rules.d/*
ln -sf /bin/udevadm /run/systemd-udevd
/run/systemd-udevd --daemon
modprobe configfs 2>/dev/null
mount -t configfs none /sys/kernel/config 2>/dev/null
modprobe dummy_hcd num=2
modprobe libcomposite
modprobe xhci_pci # the keyboard and the serial adapter of QEMU
cd "$checkout" || exit 1
# No byte code: every import would write into the layer in memory.
PYTHONDONTWRITEBYTECODE=1 setsid "$checkout/.venv/bin/python" -u -m tests.usb.scenarios $(cat /out/wanted) </dev/null 2>&1
echo $? >/out/rc
sync
busybox poweroff -f
