/// What `bootsim init` prints.
enum StarterScenario {
  /// A scenario that runs as it is, with comments on what can be changed.
  static func text(profile: String) -> String {
    """
    // A scenario for bootsim. JSON with comments; a comma after the last entry does no harm.
    //   bootsim run FILE      what happens, whether it comes up, why not, and what cures it
    //   bootsim sweep FILE    every combination of what "vary" says
    //   bootsim test FILE     whether what comes is what "expect" says
    //   bootsim schema        every field, as a JSON Schema for editors
    {
      "version": 1,
      "title": "A machine of \(profile) that boots over iSCSI",

      // The machine, the target and the files of a fresh installation. What is written below is laid over it:
      // objects field by field, lists of named things (adapters, disks, targets, LUs, partitions) thing by
      // thing.
      "profile": "\(profile)",

      // "machine": {
      //   "firmware": { "bootOrder": ["nic0", "usb0"] },
      //   "usb": [{ "name": "usb0", "attached": true, "size": "64MiB", "settles": ["1s", "2s"],
      //             "partitions": [{ "number": 1, "fs": "vfat" }] }],
      // },

      // "targets": [{ "name": "iqn.2024-01.lab:disk", "portal": "10.0.2.2:3260", "maxSessions": 2,
      //               "luns": [{ "lun": 1, "size": "10GiB", "writeCache": true }] }],

      // The system's own files, as they are on its disk: a text, its lines, {"link": "target"}, or null for
      // none. "system": { "files": { "/etc/network/interfaces": ["auto lo", "iface lo inet loopback"] } },

      // What is done to it. Each step begins when nothing of the one before is under way any more.
      // Others: {"attach": "usb0"}, {"restart": "iscsid"}, {"run": "…"}, {"write": {"/etc/fstab": "…"}},
      //         {"link-down": "nic0", "for": "30s", "at": "kernel"}, {"target-down": "iqn…", "for": "1min"},
      //         "reboot".
      "story": ["boot", "shutdown"],

      // "vary": { "usb": "usb0", "machine.memory": ["512MiB", "1GiB"] },

      // "expect": { "verdict": "boots" },
    }

    """
  }
}
