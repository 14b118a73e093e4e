"""slim's ResNets in PyTorch, with the weights of a file that slim-resnet export wrote.

    model = ResNet("resnet_v2_50.safetensors").eval()
    logits = model(images)      # [N, channels, H, W], prepared as model.record says"""
import functools
import json

import torch
from torch import nn

norm = functools.partial(nn.BatchNorm2d, eps=1e-5, momentum=0.003)  # slim's decay is 0.997

def same(x, size, stride, value=0.0):  # TensorFlow's SAME: the odd pixel comes at the end
    totals = [max((-(-n // stride) - 1) * stride + size - n, 0) for n in (x.shape[3], x.shape[2])]
    return nn.functional.pad(x, [pad for n in totals for pad in (n // 2, n - n // 2)], value=value)

class Conv(nn.Conv2d):
    def __init__(self, ins, outs, size=1, step=1, rate=1, bn=False, same=False):
        super().__init__(ins, outs, size, step, 0 if same else size // 2 * rate, rate, bias=not bn)
        self.bn, self.same = norm(outs) if bn else nn.Identity(), (size, step) if same else None
    def forward(self, x):
        return self.bn(super().forward(same(x, *self.same) if self.same else x))

class Unit(nn.Module):
    def __init__(self, net, ins, outs, mid, stride, rate):
        super().__init__()
        self.v2, self.bn3, self.stride = net["v2"], net["bn3"], stride
        self.preact = norm(ins) if self.v2 else nn.Identity()
        self.shortcut = Conv(ins, outs, 1, stride, bn=not self.v2) if ins != outs else None
        self.conv1, self.conv3 = Conv(ins, mid, bn=True), Conv(mid, outs, bn=self.bn3)
        self.conv2 = Conv(mid, mid, 3, stride, rate, bn=True, same=net["same"])

    def forward(self, x):
        y = torch.relu(self.preact(x)) if self.v2 else x
        x = self.shortcut(y) if self.shortcut else x[:, :, ::self.stride, ::self.stride]
        y = self.conv3(torch.relu(self.conv2(torch.relu(self.conv1(y)))))
        return x + (torch.relu(y) if self.bn3 else y) if self.v2 else torch.relu(x + y)

class ResNet(nn.Module):
    def __init__(self, path):
        super().__init__()
        with open(path, "rb") as file:
            header = json.loads(file.read(int.from_bytes(file.read(8), "little")))
            data = torch.frombuffer(bytearray(file.read()), dtype=torch.uint8)
        self.record = json.loads(header.pop("__metadata__")["slim_resnet_metadata"])
        net = self.record["network"]
        self.v2, width = net["v2"], net["blocks"][-1][-1][1]
        self.root = nn.Sequential(*(Conv(*row, bn=not self.v2) for row in net["root"]))
        self.blocks = nn.Sequential(*(nn.Sequential(*(Unit(net, *unit) for unit in block))
                                      for block in net["blocks"]))
        self.norm = norm(width) if self.v2 else nn.Identity()
        self.fc = nn.Linear(width, net["classes"]) if net["classes"] else nn.Identity()
        self.load_state_dict({name: data[slice(*row["data_offsets"])].view(torch.float32).reshape(
            row["shape"]) for name, row in header.items()})

    def forward(self, x):
        for conv in self.root:
            x = conv(x) if self.v2 else torch.relu(conv(x))
        x = self.blocks(torch.max_pool2d(same(x, 3, 2, -torch.inf), 3, 2) if len(self.root) else x)
        return self.fc((torch.relu(self.norm(x)) if self.v2 else x).mean((2, 3)))
