"""A training step as a good engineer writes it first with the libraries: the paper's losses on CLIP's ResNet.

The encoder is CLIP's own, norms in evaluation mode. All regions of the batch go through one `roi_align` of torchvision,
and CLIP's attention pool takes the crops of an image at once. A proposal is pooled once for all its pairs. Pairs, union
boxes, heads and losses go image by image, as in the interaction heads of UPT (Zhang et al., CVPR 2022) and SCG (Zhang
et al., ICCV 2021). Written beside the network's weights, and from none of the code that it is compared with but the
spatial encoding and the network's MLPs.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional
from torchvision.ops import roi_align

from pipeline.backbones.clip_resnet import ClipResNet
from pipeline.core.bags import BagBatch
from pipeline.core.vocabulary import Vocabulary
from pipeline.methods.bilevel.network import BilevelNetwork
from pipeline.methods.spatial import spatial_encoding
from pipeline.store.openai_clip import AttentionPool2d


class OneQueryPool(AttentionPool2d):
    """CLIP's pool as its repository has it today: the mean token asks alone, where openai-clip 1.0.1 lets all ask."""

    def forward(self, x: Tensor) -> Tensor:
        """Embeddings [R, D] of maps [R, C, rows, columns]."""
        tokens = x.flatten(2).permute(2, 0, 1)  # [P, R, C]
        tokens = torch.cat([tokens.mean(0, keepdim=True), tokens]) + self.positional_embedding[:, None]
        pooled, _ = functional.multi_head_attention_forward(
            query=tokens[:1],
            key=tokens,
            value=tokens,
            embed_dim_to_check=tokens.shape[2],
            num_heads=self.num_heads,
            q_proj_weight=self.q_proj.weight,
            k_proj_weight=self.k_proj.weight,
            v_proj_weight=self.v_proj.weight,
            in_proj_weight=None,
            in_proj_bias=torch.cat([self.q_proj.bias, self.k_proj.bias, self.v_proj.bias]),
            bias_k=None,
            bias_v=None,
            add_zero_attn=False,
            dropout_p=0.0,
            out_proj_weight=self.c_proj.weight,
            out_proj_bias=self.c_proj.bias,
            use_separate_proj_weight=True,
            training=self.training,
            need_weights=False,
        )
        return pooled[0]


POOLS = {"one_query": OneQueryPool, "package": AttentionPool2d}


@dataclass(frozen=True)
class _Image:
    """One image's proposals and labels.

    Attributes:
        boxes: [n, 4], pixels.
        size: [2], width and height.
        human, partner: int64 [m], rows of `boxes` of each pair.
        categories: int64 [m], of each pair's object.
        verbs: float32 [A], 1 for those of the image's labels.
        objects: set of the categories of its labels.
    """

    boxes: Tensor
    size: Tensor
    human: Tensor
    partner: Tensor
    categories: Tensor
    verbs: Tensor
    objects: set[int]

    @property
    def regions(self) -> Tensor:
        """The proposals' boxes, then those of the pairs' unions, in 0..1 of the image."""
        first, second = self.boxes[self.human], self.boxes[self.partner]
        unions = torch.cat([torch.minimum(first[:, :2], second[:, :2]), torch.maximum(first[:, 2:], second[:, 2:])], 1)
        return torch.cat([self.boxes, unions]) / self.size.repeat(2)


@dataclass(frozen=True)
class PlainStep:
    """Losses of a batch.

    Attributes:
        network: whose weights are used.
        vocabulary: HOI classes.
        top_k: pairs of a verb that are taken for related.
    """

    network: BilevelNetwork
    vocabulary: Vocabulary
    top_k: int

    def losses(self, batch: BagBatch) -> dict[str, Tensor]:
        """L_g, L_p and L_b of eq. (4), averaged over images."""
        network, backbone = self.network, self._backbone
        features = backbone.trunk(batch.images)
        images = [self._image(batch, row) for row in range(len(batch))]
        cells = features.new_tensor([features.shape[3], features.shape[2]] * 2)
        crops = roi_align(
            features,
            [image.regions * cells for image in images],
            output_size=backbone.params.roi_size,
            sampling_ratio=backbone.params.sampling_ratio,
            aligned=True,
        )
        pair_loss, relatedness_loss = features.new_zeros(()), features.new_zeros(())
        for image, of_image in zip(images, crops.split([len(image.regions) for image in images]), strict=True):
            s_p, s_b = self._pair_logits(image, functional.normalize(backbone.attnpool(of_image), dim=1))
            if len(s_p):
                best = s_p.max(0).values
                pair_loss = pair_loss + functional.binary_cross_entropy_with_logits(best, image.verbs, reduction="sum")
                related = self._related(image, s_p.detach())
                relatedness_loss = relatedness_loss + functional.binary_cross_entropy_with_logits(
                    s_b, related, reduction="sum"
                )
        s_g = self._similarity(self._of_whole(features), network.bank) + network.global_bias
        global_loss = functional.binary_cross_entropy_with_logits(s_g, batch.labels, reduction="sum")
        terms = {"global": global_loss, "pair": pair_loss, "relatedness": relatedness_loss}
        return {name: term / len(batch) for name, term in terms.items()}

    @property
    def _backbone(self) -> ClipResNet:
        assert isinstance(self.network.backbone, ClipResNet)
        return self.network.backbone

    def _image(self, batch: BagBatch, row: int) -> _Image:
        chosen = slice(int(batch.proposal_offsets[row]), int(batch.proposal_offsets[row + 1]))
        categories = batch.object_ids[chosen]
        classes = [self.vocabulary.hoi_classes[hoi] for hoi in batch.labels[row].nonzero().flatten().tolist()]
        verbs = torch.zeros(self.vocabulary.num_verbs)
        verbs[[verb for verb, _ in classes]] = 1
        is_human = categories == self.vocabulary.human_object_id
        takes_part = torch.isin(categories, torch.from_numpy(self.vocabulary.hoi_object_ids))
        human, partner = (is_human[:, None] & takes_part & ~torch.eye(len(categories), dtype=torch.bool)).nonzero().T
        objects = {category for _, category in classes}
        return _Image(batch.boxes[chosen], batch.image_sizes[row], human, partner, categories[partner], verbs, objects)

    def _pair_logits(self, image: _Image, embeddings: Tensor) -> tuple[Tensor, Tensor]:
        """s_p [m, A] and s_b [m] of an image's pairs (eq. 1 and 2) from embeddings of its regions [n + m, D]."""
        network, boxes = self.network, image.boxes
        proposals, v_u = embeddings.split([len(boxes), len(image.human)])
        scale = embeddings.shape[1] ** 0.5
        layout = spatial_encoding(boxes[image.human], boxes[image.partner], image.size.expand(len(image.human), 2))
        v_sp = network.trunk.spatial(layout)
        parts = [proposals[image.human] * scale, proposals[image.partner] * scale, v_sp]
        v_p = network.trunk.pair_embedding(torch.cat(parts, 1))
        bank = network.bank.detach()
        recalled = torch.softmax(self._similarity(v_u, bank), 1) @ bank
        representation = network.fusion(v_p + recalled * scale)
        return network.interaction_head(representation), network.relatedness_head(representation)[:, 0]

    def _similarity(self, embeddings: Tensor, bank: Tensor) -> Tensor:
        """CLIP's scaled cosine."""
        cosine = functional.normalize(embeddings, dim=1) @ functional.normalize(bank, dim=1).T
        return cosine * self.network.logit_scale.exp()

    def _of_whole(self, features: Tensor) -> Tensor:
        """v_g [I, D]: the pool over the whole map, its positional embedding interpolated."""
        pool = self._backbone.attnpool
        first, grid = pool.positional_embedding.split([1, len(pool.positional_embedding) - 1])
        side = round(len(grid) ** 0.5)
        cells = grid.T.reshape(1, -1, side, side)
        resized = functional.interpolate(cells, size=features.shape[2:], mode="bicubic", align_corners=False)
        position = torch.cat([first, resized[0].flatten(1).T])
        embeddings: Tensor = functional_call(pool, {"positional_embedding": position}, (features,))
        return embeddings

    def _related(self, image: _Image, s_p: Tensor) -> Tensor:
        """Pseudo labels [m]: the K best pairs of each labeled verb among pairs with a labeled object (App. F)."""
        related = torch.zeros(len(s_p), dtype=s_p.dtype)
        candidates = torch.tensor([row for row, kind in enumerate(image.categories.tolist()) if kind in image.objects])
        if len(candidates):
            for verb in image.verbs.nonzero().flatten().tolist():
                best = s_p[candidates, verb].topk(min(self.top_k, len(candidates))).indices
                related[candidates[best]] = 1
        return related


def plain_norms(network: nn.Module) -> None:
    """Batch norms in evaluation mode, without gradients of their own."""
    for layer in network.modules():
        if isinstance(layer, nn.BatchNorm2d):
            layer.eval().requires_grad_(False)


def with_pool(network: BilevelNetwork, name: str) -> BilevelNetwork:
    """The network, its pool's class replaced by one of `POOLS`."""
    network.backbone.attnpool.__class__ = POOLS[name]
    return network
