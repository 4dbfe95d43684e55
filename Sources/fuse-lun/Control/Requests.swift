/// Every request that a mount answers. One that is missing here is refused by the mount, and works in the
/// command itself only.
let storeRequests: [any StoreRequest.Type] = [
  MountInfoRequest.self
]
