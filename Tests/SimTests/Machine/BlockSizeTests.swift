import LinuxConfig
import Testing

@testable import Sim

/// LUs with logical blocks of 4096 bytes.
@Suite("Blocks of 4096 bytes")
struct BlockSizeTests {
  @Test("a BIOS cannot read the first sector of such a LU (lab v2)") func bootLU() throws {
    var rig = try Rig("debian-12", [.boot])
    rig.scenario.targets[0].luns[0].blockSize = 4096
    #expect(rig.explored().summary == "fails: option-rom option-rom-block-size")
  }

  @Test("a root whose table counts in blocks of 512 is not found on one (lab v3)") func rootLU() throws {
    var rig = try Rig("debian-12", [.boot])
    var second = rig.scenario.targets[0].luns[0]
    rig.scenario.targets[0].luns[0].content.partitions.remove(at: 1)
    second.lun = 2
    second.content.partitions.remove(at: 0)
    for (blockSize, expected) in [(512, "boots"), (4096, "fails: root-mount partition-table-misread")] {
      second.blockSize = blockSize
      rig.scenario.targets[0].luns = [rig.scenario.targets[0].luns[0], second]
      #expect(rig.explored().summary == expected, "\(blockSize)")
    }
  }

  @Test("other sizes are refused, with the place") func otherSizes() throws {
    for size in ["1024", "0", "\"4k\"", "4096.5"] {
      let text = """
        {"version": 1, "title": "x", "profile": "debian-12",
         "targets": [{"name": "iqn.2024-01.lab:disk", "luns": [{"lun": 1, "blockSize": \(size)}]}]}
        """
      let problems = ScenarioDecoder().load(Array(text.utf8), file: "x.json").problems.map(\.description)
      #expect(problems.contains { $0.contains("luns[0].blockSize") }, "\(size): \(problems)")
    }
  }
}
