#!/bin/busybox sh
# First process of the virtual machine: this machine's own files, read-only by 9p, under a layer in memory.
busybox=/bin/busybox
$busybox mount -t proc proc /proc
$busybox mount -t sysfs sys /sys
$busybox mount -t devtmpfs dev /dev
for module in $($busybox cat /modules/order); do
    $busybox insmod "/modules/$module" 2>/dev/null
done
for word in $($busybox cat /proc/cmdline); do
    case $word in
        bridge.cache=*) cache=${word#*=} ;;
        bridge.checkout=*) checkout=${word#*=} ;;
    esac
done
give_up() {
    echo "the virtual machine cannot $1"
    exec $busybox poweroff -f
}
ninep="trans=virtio,version=9p2000.L,msize=512000"
$busybox mount -t 9p -o "$ninep,ro,cache=loose" host /lower || give_up "mount the files of the host"
$busybox mount -t tmpfs -o size=70% tmpfs /layers
$busybox mkdir /layers/upper /layers/work
$busybox mount -t overlay -o lowerdir=/lower,upperdir=/layers/upper,workdir=/layers/work overlay /root ||
    give_up "lay a layer over them"
$busybox mkdir -p /root/lib/modules /root/out /root/run /root/tmp
$busybox mount -t tmpfs tmpfs /root/run
$busybox mount -t tmpfs tmpfs /root/tmp
$busybox chmod 1777 /root/tmp
# What is below the host's own /tmp (a checkout, perhaps) must stay in sight.
case "$cache:$checkout" in
    */tmp/*) $busybox umount /root/tmp ;;
esac
$busybox ln -sfn "$cache/lib/modules/$($busybox uname -r)" "/root/lib/modules/$($busybox uname -r)"
$busybox mount -t 9p -o "$ninep" out /root/out || give_up "mount the folder for results"
for each in proc sys dev; do
    $busybox mount --move /$each /root/$each
done
export cache checkout HOME=/root PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
exec $busybox switch_root -c /dev/console /root /bin/sh "$checkout/tests/usb/guest.sh"
