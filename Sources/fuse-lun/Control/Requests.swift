/// Every request that a mount answers. One that is missing here is refused by the mount, and works in the
/// command itself only.
let storeRequests: [any StoreRequest.Type] = [
  PingRequest.self, MountInfoRequest.self, SnapshotRequest.self, RollbackRequest.self, CloneRequest.self,
  DeleteRequest.self, ResizeRequest.self, SetRequest.self, CheckRequest.self,
  ArmRequest.self, LayersRequest.self, DisarmRequest.self, LogRecordRequest.self, LogStopRequest.self,
  LogMarkRequest.self, LogRebuildRequest.self, LogRemoveRequest.self,
  CloneIntoRequest.self, FetchRequest.self, RenameRequest.self,
]
